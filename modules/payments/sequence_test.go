package payments_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// commitRecorder is a store that keeps the changes of the last commit.
type commitRecorder struct {
	*memory
	last *payments.Changes
}

func (r *commitRecorder) Commit(ctx context.Context, c *payments.Changes) error {
	r.last = c
	return r.memory.Commit(ctx, c)
}

// The sequence of events is the order in which they arrived, whatever their times and
// orders are.
func TestABatchIsRecordedInTheOrderOfItsArrival(t *testing.T) {
	b := newBench(t)
	store := &commitRecorder{memory: b.store}
	b.Ledger = payments.NewLedgerAt(store, func() time.Time { return b.now })
	b.apply(
		order("e1", 3, orderSuccess, of("o2")),
		order("e2", 1, orderCreated, of("o2")),
		dispute("e3", 2, disputeOpen, of("o1"), disputeID("d2")),
		dispute("e4", 1, disputeOpen, of("o1"), disputeID("d1")),
		order("e5", 0, orderCreated, of("o1")),
		order("e6", 2, orderNone, providerStatus("a new word")),
		order("e7", 2, orderUpdated, of("o2")),
	)
	var events []string
	for _, e := range store.last.Events {
		events = append(events, e.Key.EventID)
	}
	if want := []string{"e1", "e2", "e3", "e4", "e5", "e6", "e7"}; !slices.Equal(events, want) {
		t.Errorf("recorded events = %q, want %q", events, want)
	}
}
