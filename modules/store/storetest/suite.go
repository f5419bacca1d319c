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
//	ledger, replay, property  the ledger on a store, also with random updates
//	copies                    a copy from another engine, by [RunCopies]
//
// The rest are helpers: db is a database under test, updates builds updates, bench
// has [Traffic] and the benchmarks that every store runs, and passwords has texts for
// tests that look for passwords in messages.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// Store is what an engine implements: the store of the ledger, and the queries and
// decisions of the API and of operators.
type Store interface {
	payments.Store

	// Orders, Disputes and Events read one page of what a query selects. Orders and
	// disputes are sorted by time and then by the bytes of the id, events by
	// sequence.
	Orders(ctx context.Context, q payments.OrderQuery) (payments.Page[payments.Order], error)
	Disputes(ctx context.Context, q payments.DisputeQuery) (payments.Page[payments.Dispute], error)
	Events(ctx context.Context, q payments.EventQuery) (payments.Page[payments.RecordedEvent], error)
	// Order and Dispute read one that a query can select. Otherwise the error is
	// payments.ErrNotFound.
	Order(ctx context.Context, id string) (payments.Order, error)
	Dispute(ctx context.Context, id string) (payments.Dispute, error)

	DeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]*payments.DeadLetter, error)
	// Discard settles an open dead letter. It does nothing if the dead letter is
	// discarded already. It is an error if it was settled otherwise, or if it does
	// not exist, which is payments.ErrNotFound.
	Discard(ctx context.Context, id int64, at time.Time) error

	// Close releases the handle. A second call is no error.
	Close() error
}

// Engine is one database that is migrated, empty, and removed when the test ends.
type Engine interface {
	// Open opens another handle on the database, as another process would. The
	// handle is closed when the test ends, if not before.
	Open(t *testing.T) Store
	// Body reads the body of an event, which is stored but which no query returns.
	Body(t *testing.T, key payments.Key) []byte
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
		{"NothingLoadedIsOlderThanItsVersion", loadWhileWriting},
		{"DiscardWhileOthersWrite", discardWhileWriting},
		{"AnEndedContextWritesNothing", endedContext},
		{"ACutShortCommitIsWholeOrNothing", cutShort},
		{"EventsHaveTheSequenceOfTheirBatch", sequenceOfABatch},

		{"UnknownThingsAreNotThere", unknownThings},
		{"AThousandAtOnce", aThousand},
		{"AnOrderKnownOnlyThroughDisputes", shells},
		{"ADisputeOfWhichNothingCounts", refusedDispute},
		{"AnOrderOfWhichNothingCounts", refusedOrder},
		{"HistoryIsWhatIsFolded", historyIsWhatIsFolded},

		{"ADeadLetterIsNamedByKeyAndDigest", lettersByKeyAndDigest},
		{"DeadLettersAreSettledOnce", settledOnce},
		{"SettledDeadLettersOpenAgain", openAgain},
		{"DiscardedDeadLettersStaySo", discardedStaySo},
		{"DiscardedDeadLettersAreSettledWhenApplied", settledAfterDiscard},
		{"Discard", discard},
		{"DeadLetterPages", letterPages},

		{"PagesHaveNoGapAndNoRepeat", pages},
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
		{"LedgerRefutesAndReapplies", refutedAndReapplied},
		{"LedgerDisputeBeforeItsOrder", disputeBeforeOrder},
		{"LedgerRefusals", refusals},
		{"LedgerUndecodableRecords", undecodableRecords},
		{"ReplayOfWhatFitsByNow", replayFits},
		{"ReplayOfAnUnknownSchema", replaySchema},
		{"ReplayOfWhatStaysRefused", replayRefused},

		{"TwoHandlesSeeEachOther", twoHandles},
		{"LedgersOverTwoHandles", concurrentLedgers},
		{"EveryArrivalEndsTheSame", everyArrival},
	} {
		t.Run(test.name, func(t *testing.T) {
			engine := create(t)
			test.run(t, &db{Engine: engine, Store: engine.Open(t), t: t})
		})
	}
}
