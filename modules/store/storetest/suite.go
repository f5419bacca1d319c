// Package storetest is the conformance suite of the stores: what the ledger, the api
// role and operators need from every engine. A new store implements [Engine] in its
// tests and calls [Run]. Package payments tests the rules of an update; this suite
// tests that a store keeps the result exactly, completely and permanently.
//
// What each file tests:
//
//	states, events, letters   what is written is read exactly, to the byte
//	load                      what Load and History return, and what they do not
//	commit                    a commit is written completely, once, or not at all
//	races                     several writers, handles and ledgers on one database
//	pages, filters            the queries of the API and of operators
//	ledger, operators         the ledger on a store, and the decisions of operators
//	property                  the ledger compared with an oracle
//	histories                 every scenario and every pair of snapshots in every arrival,
//	                          and histories that are read in pages
//	activity                  what operators read about the system, and the audit log
//	retention, erase          what is removed after a time, and about a person
//	migrated                  a database of the first release, by [CheckMigrated]
//
// Suite has the entry points: [Run], and [RunCopies] for a copy from another engine. The
// rest are helpers: db is a database under test, bench has [Traffic] and the benchmarks
// that every store runs, and fixtures builds updates, and has the tables of the first
// release and texts for tests that look for passwords in messages.
package storetest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
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
	// Body reads the body of an event, and the order of the event.
	Body(ctx context.Context, key payments.Key) (body []byte, orderID string, err error)
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

// Copier is a pair of databases, of which the target is empty.
type Copier interface {
	Source(t *testing.T) Engine
	Target(t *testing.T) Engine
	// Copy copies the source into the target.
	Copy(t *testing.T)
}

// RunCopies checks that a copy answers as the original does, and that a ledger can
// continue with it. It calls create for each test.
func RunCopies(t *testing.T, create func(t *testing.T) Copier) {
	for _, test := range []struct {
		name  string
		leave func(*testing.T, *db) // fills the source: a test of the suite
	}{
		{"Nothing", func(*testing.T, *db) {}},
		{"States", statesAreKeptExactly},
		{"Events", eventsAreKeptExactly},
		{"Bodies", bodiesAreKept},
		{"DeadLetters", lettersAreKeptExactly},
		{"DecidedDeadLetters", decidedStaySettled},
		{"AwkwardText", awkwardText},
		{"Stateless", stateless},
		{"SeveralSources", severalSources},
		{"RefusedAndReapplied", refusedAndReapplied},
		{"Operators", operators},
		{"Refusals", refusals},
		{"UndecodableRecords", undecodableRecords},
		{"AuditLog", auditLog},
	} {
		t.Run(test.name, func(t *testing.T) {
			copied(t, create(t), func(source *db) { test.leave(t, source) })
		})
	}
	t.Run("TheLedgerGoesOn", func(t *testing.T) { ledgerGoesOn(t, create(t)) })
}

// copied fills the source, copies it, and checks that both give the same answers.
func copied(t *testing.T, c Copier, leave func(source *db)) (target *db) {
	t.Helper()
	from, to := c.Source(t), c.Target(t)
	source := &db{Engine: from, Store: from.Open(t), t: t}
	leave(source)
	lookup := source.all()
	want, wantBodies := source.everything(lookup), source.bodies(lookup)
	source.check(source.Close())
	c.Copy(t)
	source.Store = from.Open(t)
	wantLines(t, "the source afterwards", source.everything(lookup), want)
	target = &db{Engine: to, Store: to.Open(t), t: t}
	wantLines(t, "the target", target.everything(lookup), want)
	if !slices.EqualFunc(target.bodies(lookup), wantBodies, bytes.Equal) {
		t.Error("the bodies of the target differ from those of the source")
	}
	return target
}

// all returns a lookup of everything that is stored.
func (d *db) all() (lookup payments.Lookup) {
	d.t.Helper()
	orders, disputes := make(map[string]bool), make(map[payments.DisputeKey]bool)
	for _, e := range d.events() {
		lookup.Keys = append(lookup.Keys, e.Key)
		orders[e.Update.GetOrderId()] = true
		if e.Key.Kind == payments.KindDispute {
			disputes[e.Dispute()] = true
		}
	}
	extremeOrders, extremeDisputes := extremes() // which have no events
	for _, a := range extremeOrders {
		orders[a.State.ID] = true
	}
	for _, a := range extremeDisputes {
		disputes[a.State.DisputeKey] = true
	}
	lookup.Orders, lookup.Disputes = slices.Collect(maps.Keys(orders)), slices.Collect(maps.Keys(disputes))
	return lookup
}

func (d *db) bodies(lookup payments.Lookup) [][]byte {
	d.t.Helper()
	bodies := make([][]byte, len(lookup.Keys))
	for i, key := range lookup.Keys {
		bodies[i] = d.body(key)
	}
	return bodies
}

// ledgerGoesOn stores something of each kind before the copy and continues with it
// afterwards.
func ledgerGoesOn(t *testing.T, c Copier) {
	first, contradicting := order("e1", 1, orderCreated, amount(7, "EUR")), order("e9", 9, orderFailed)
	var future int64
	d := copied(t, c, func(source *db) {
		source.apply(first, order("e8", 8, orderSuccess), dispute("c1", 2, disputeOpen, disputeID("d1")), note("e1", 1, "a note"))
		wantOutcomes(t, source.apply(contradicting, order("e1", 1, orderFailed)), refused(contradiction), refused(conflict))
		future = source.deadLettered(order("e5", 5, orderUpdated, user("u5")), futureTime)
		source.discard(source.letterOf(conflict).ID)
		// There are more rows in each table than a ledger makes attempts, should a
		// number be taken already.
		for i := range 100 {
			source.apply(order(fmt.Sprint("odd", i), 0, orderNone, of(fmt.Sprint("odd", i)), word("new")))
		}
	})
	events, letters := d.events(), d.letters()

	wantOutcomes(t, d.apply(first, contradicting), verdict(duplicate), verdict(duplicate))
	wantOutcomes(t, d.apply(order("e1", 1, orderFailed)), refused(conflict))
	if l := d.letterOf(conflict); len(d.events()) != len(events) || l.Resolution != payments.Discarded || l.By != "ann" || l.Deliveries != 2 {
		t.Errorf("updates that were copied and are sent again are stored twice, or the dead letter is not as before: %+v", l)
	}
	wantOutcomes(t, []*payrelayv1.Outcome{d.replay(future)}, verdict(applied))
	if got := d.order("o1"); got.UserID != "u5" || got.Status != orderSuccess {
		t.Errorf("after the replay of an old dead letter the order is %+v, want it successful and of user u5", got)
	}
	wantOutcomes(t, d.apply(order("e0", 0, orderCreated), dispute("c2", 3, disputeWon, disputeID("d1"))), verdict(applied), verdict(applied))
	if got := d.order("o1"); got.CreatedAt != after(0) || d.dispute("d1").Status != disputeWon {
		t.Errorf("after a late update got the order %+v and the dispute %+v, want the creation at second 0 and a dispute won", got, d.dispute("d1"))
	}
	wantOutcomes(t, d.apply(order("new", 0, orderCreated, of("o2")), order("odd", 1, orderNone, of("o3"), word("new"))), verdict(applied), refused(unknownStatus))
	wantNumberedAfter(d, events, letters)
}

// letterOf returns the only dead letter with a reason.
func (d *db) letterOf(reason payrelayv1.DeadLetterReason) *payments.DeadLetter {
	d.t.Helper()
	letters := selected(d.letters(), func(l *payments.DeadLetter) bool { return l.Reason == reason })
	if len(letters) != 1 {
		d.t.Fatalf("got %d dead letters with the reason %v, want 1", len(letters), reason)
	}
	return letters[0]
}

// wantNumberedAfter checks that what is new has higher numbers than what was there
// before.
func wantNumberedAfter(d *db, events []payments.RecordedEvent, letters []*payments.DeadLetter) {
	d.t.Helper()
	highest := slices.MaxFunc(events, func(a, b payments.RecordedEvent) int { return int(a.Sequence - b.Sequence) }).Sequence
	for _, e := range d.events() {
		isNew := !slices.ContainsFunc(events, func(old payments.RecordedEvent) bool { return old.Key == e.Key })
		if isNew != (e.Sequence > highest) {
			d.t.Errorf("event %v has the sequence %d, the highest before the copy was %d", e.Key, e.Sequence, highest)
		}
	}
	last := d.letters()[len(letters):]
	if len(last) != 1 || last[0].ID <= letters[len(letters)-1].ID || time.Since(last[0].CreatedAt) > time.Hour {
		d.t.Errorf("the new dead letters are %+v, want one with the next number", last)
	}
}
