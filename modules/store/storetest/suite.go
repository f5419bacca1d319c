// Package storetest is the conformance suite of the stores: what the ledger, the api
// role and operators need from every engine. A new store implements [Engine] in its
// tests and calls [Run]. Package payments tests the rules of an update; this suite
// tests that a store keeps the result exactly, completely and permanently.
//
// What each file tests:
//
//	states, events, letters   what is written is read exactly, to the byte
//	load                      what Load and History return, and what they do not
//	commit, races             a commit is written completely, once, or not at all
//	concurrent                several handles and ledgers on one database
//	pages, filters            the queries of the API and of operators
//	ledger, operators,
//	decisions                 the ledger on a store
//	property                  the ledger compared with an oracle
//	scenarios                 every scenario and every pair of snapshots in every arrival
//	long                      histories that are read in pages
//	activity                  what operators read about the system, and the audit log
//	migrated                  a database of the first release, by [CheckMigrated]
//	copies                    a copy from another engine, by [RunCopies]
//
// The rest are helpers: db is a database under test, updates builds updates, bench
// has [Traffic] and the benchmarks that every store runs, and fixtures has the tables of
// the first release, and texts for tests that look for passwords in messages.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/retention"
)

// Store is what an engine implements: the store of the ledger, and the queries of the
// API and of operators.
type Store interface {
	payments.Store

	// Orders, Disputes and Events read one page of what a query selects, sorted by the
	// sequence in which they were first recorded. Those of one commit have the order that
	// the commit has them in.
	Orders(ctx context.Context, q payments.OrderQuery) (payments.Page[payments.Order], error)
	Disputes(ctx context.Context, q payments.DisputeQuery) (payments.Page[payments.Dispute], error)
	Events(ctx context.Context, q payments.EventQuery) (payments.Page[payments.RecordedEvent], error)
	// Order and Dispute read one that a query can select. Otherwise the error is
	// payments.ErrNotFound.
	Order(ctx context.Context, id string) (payments.Order, error)
	Dispute(ctx context.Context, key payments.DisputeKey) (payments.Dispute, error)
	// DisputesWith reads those of all sources that have an id.
	DisputesWith(ctx context.Context, id string) ([]payments.Dispute, error)

	DeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]*payments.DeadLetter, error)
	// CountDeadLetters counts what the query selects on all pages.
	CountDeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]payments.DeadLetterCount, error)
	// RemainingDeadLetters returns the number of those that the query selects after AfterID.
	RemainingDeadLetters(ctx context.Context, q payments.DeadLetterQuery) (int64, error)
	// OldestOpenDeadLetter returns the zero time if none is open.
	OldestOpenDeadLetter(ctx context.Context) (time.Time, error)
	// Body reads the body of an event.
	Body(ctx context.Context, key payments.Key) ([]byte, error)
	Subjects(ctx context.Context, q payments.SubjectQuery) (payments.SubjectPage, error)
	Sources(ctx context.Context) ([]payments.SourceActivity, error)
	DisputesDue(ctx context.Context, now time.Time) (payments.DisputesDue, error)
	Stats(ctx context.Context) (store.Stats, error)
	// Audit reads one page of the audit log.
	Audit(ctx context.Context, q payments.AuditQuery) (payments.Page[payments.AuditEntry], error)

	retention.Database

	// Close releases the handle. A second call is no error.
	Close() error
}

// Engine is one database that is migrated, empty, and removed when the test ends.
type Engine interface {
	// Open opens another handle on the database, as another process would. The
	// handle is closed when the test ends, if not before.
	Open(t *testing.T) Store
}

// Run tests a store. It calls create for each test.
func Run(t *testing.T, create func(t *testing.T) Engine) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *db)
	}{
		{"StatesAreKeptExactly", statesAreKeptExactly},
		{"EventsAreKeptExactly", eventsAreKeptExactly},
		{"BodiesAreKeptByteForByte", bodiesAreKept},
		{"DeadLettersAreKeptExactly", lettersAreKeptExactly},
		{"AwkwardTextIsKeptAndToldApart", awkwardText},

		{"KeysAreForEver", keysAreForEver},
		{"ALostRaceWritesNothing", lostRaces},
		{"OneOfManyWritersWins", oneWriterWins},
		{"OrdersAndDisputesDoNotRace", ordersAndDisputesDoNotRace},
		{"NothingLoadedIsOlderThanItsVersion", loadWhileWriting},
		{"DiscardWhileOthersWrite", discardWhileWriting},
		{"AnEndedContextWritesNothing", endedContext},
		{"ACutShortCommitIsWholeOrNothing", cutShort},
		{"EventsHaveTheSequenceOfTheirBatch", sequenceOfABatch},

		{"UnknownThingsAreNotThere", unknownThings},
		{"AThousandAtOnce", aThousand},
		{"IdsNeverCollide", idsNeverCollide},
		{"DisputesOfSeveralSources", severalSources},
		{"AnOrderKnownOnlyThroughDisputes", ordersWithDisputesOnly},
		{"WithoutAState", stateless},
		{"AnOrderOfWhichNothingCounts", refusedOrder},
		{"HistoryIsWhatIsFolded", historyHasFoldedEvents},
		{"HistoryPages", historyPages},
		{"LimitedHistory", limitedHistory},
		{"Checkpoints", checkpoints},

		{"ADeadLetterIsNamedByKeyAndDigest", lettersByKeyAndDigest},
		{"DeadLettersAreSettledOnce", settledOnce},
		{"SettledDeadLettersOpenAgain", openAgain},
		{"DecidedDeadLettersStaySo", decidedStaySettled},
		{"DeadLetterPages", letterPages},
		{"DeadLetterFilters", letterFilters},
		{"DeadLettersByID", lettersByID},
		{"OldestOpenDeadLetter", oldestOpenLetter},

		{"PagesHaveNoGapAndNoRepeat", pages},
		{"PagesWhileItemsMove", pagesWhileItemsMove},
		{"OrderFilters", orderFilters},
		{"DisputeFilters", disputeFilters},
		{"EventFilters", eventFilters},
		{"TimeBounds", timeBounds},
		{"FiltersAreLiteral", literalFilters},
		{"TwoHundredValuesInAFilter", longFilters},

		{"LedgerLifeOfAnOrder", lifeOfAnOrder},
		{"LedgerDuplicates", duplicates},
		{"LedgerConflicts", conflicts},
		{"LedgerLateUpdates", lateUpdates},
		{"LedgerUpdatesOfTheSameInstant", sameInstant},
		{"LedgerRefusesAndReapplies", refusedAndReapplied},
		{"LedgerRefusals", refusals},
		{"LedgerUndecodableRecords", undecodableRecords},
		{"ReplayOfWhatFitsByNow", replayFits},
		{"ReplayOfAnUnknownSchema", replaySchema},
		{"ReplayOfWhatStaysRefused", replayRefused},

		{"AuditLog", auditLog},
		{"SubjectsOfEvents", subjectsOfEvents},
		{"Sources", sources},
		{"DisputesDue", disputesDue},
		{"Bodies", bodiesByKey},
		{"Stats", stats},

		{"Operators", operators},
		{"DecisionsAboutManyDeadLetters", manyDecisions},
		{"CorrectedByItsHistory", correctedByHistory},
		{"ExplainedInWords", explained},
		{"DiscardedEventsNeverReturn", discardedNeverReturn},
		{"TwoOperatorsAtOnce", twoOperators},

		{"OldBodiesLeave", oldBodiesLeave},
		{"ManyBodiesLeave", manyBodiesLeave},
		{"OldDeadLettersLoseTheirBodies", oldLettersLoseTheirBodies},
		{"DeadLettersLoseTheirBodiesAgain", lettersThatOpenAgain},
		{"EraseAPerson", eraseAPerson},
		{"EraseThatIsInterrupted", eraseInterrupted},
		{"EraseALongHistory", eraseALongHistory},
		{"OneMaintains", oneSession},

		{"TwoHandlesSeeEachOther", twoHandles},
		{"LedgersOverTwoHandles", concurrentLedgers},
		{"EveryArrivalEndsTheSame", everyArrival},
		{"Scenarios", scenarios},
		{"EveryPairOfSnapshots", pairs},
		{"LongHistories", longHistories},
	} {
		t.Run(test.name, func(t *testing.T) {
			engine := create(t)
			test.run(t, &db{Engine: engine, Store: engine.Open(t), t: t})
		})
	}
}
