// Package storetest is the conformance suite of the stores: what the ledger, the
// api role and an operator rely on, whatever the engine. A new store writes an
// [Engine] for its tests and calls [Run].
//
// What an update does to an order is proven in payments; here it is proven that
// a store keeps it, exactly, in one piece and for ever.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// Store is what an engine has to have: the ledger's side, and the queries and
// decisions of people.
type Store interface {
	payments.Store

	// Orders, Disputes and Events read one page of what a query selects, sorted
	// by time and then by id in the order of its bytes, or by sequence.
	Orders(ctx context.Context, q payments.OrderQuery) (payments.Page[payments.Order], error)
	Disputes(ctx context.Context, q payments.DisputeQuery) (payments.Page[payments.Dispute], error)
	Events(ctx context.Context, q payments.EventQuery) (payments.Page[payments.RecordedEvent], error)
	// Order and Dispute read one that a query could select, or payments.ErrNotFound.
	Order(ctx context.Context, id string) (payments.Order, error)
	Dispute(ctx context.Context, id string) (payments.Dispute, error)

	DeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]*payments.DeadLetter, error)
	// Discard settles an open dead letter. One that is discarded stays as it is;
	// one that was settled otherwise, or that does not exist
	// (payments.ErrNotFound), is an error.
	Discard(ctx context.Context, id int64, at time.Time) error

	// Close gives the handle back; to close it again is no error.
	Close() error
}

// Engine is one database: migrated, empty, and gone when the test ends.
type Engine interface {
	// Open opens one more handle on it, as another process would. The handle is
	// closed at the latest when the test ends.
	Open(t *testing.T) Store
	// Body reads the body of an event, which is kept but in no query's answer.
	Body(t *testing.T, key payments.Key) []byte
}

// Run proves a store. It calls create for each test.
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
