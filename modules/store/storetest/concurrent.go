package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// twoHandles checks that two handles, which take turns with one order, see each other's
// commits at once.
func twoHandles(t *testing.T, d *db) {
	handles := []*db{d, {Engine: d.Engine, Store: d.Open(t), t: t}}
	for i := range 6 {
		mine, other := handles[i%2], handles[(i+1)%2]
		wantOutcomes(t, mine.apply(order(fmt.Sprint("e", i), i, orderUpdated)), verdict(applied))
		if got := other.order("o1"); got.UpdatedAt != after(i) {
			t.Errorf("after update %d the other handle reads %+v, want it updated at %v", i, got, after(i))
		}
		if a := other.aggregate("o1"); a.Version != int64(i+1) || len(other.events()) != i+1 || len(other.history("o1")["o1"]) != i+1 {
			t.Errorf("after update %d the other handle loads %+v, want version %d and all events", i, a, i+1)
		}
	}
}

// concurrentLedgers sends the updates of a few orders from eight ledgers over two
// handles, each update twice and in any order, while another handle reads.
func concurrentLedgers(t *testing.T, d *db) {
	const ledgers = 8
	rng := rand.New(rand.NewPCG(7, 7))
	var updates []*payrelayv1.Update
	for i := range 5 {
		updates = append(updates, walk(rng, fmt.Sprint("order", i), 24)...)
	}
	sends := shuffled(rng, slices.Concat(updates, updates))
	stores := []payments.Store{d.Store, d.Open(t)}
	var senders sync.WaitGroup
	var recorded tally
	stopReading := keepReading(t, d.Open(t))
	for sender := range ledgers {
		senders.Go(func() {
			ledger := payments.NewLedger(stores[sender%2])
			for i := sender; i < len(sends); i += 2 * ledgers {
				batch := []*payrelayv1.Update{sends[i]}
				if i+ledgers < len(sends) {
					batch = append(batch, sends[i+ledgers])
				}
				outcomes, err := untilDone(t.Context(), ledger, batch)
				if err != nil {
					t.Error(err)
				}
				recorded.add(batch, outcomes)
			}
		})
	}
	senders.Wait()
	stopReading()
	d.reopen()
	for _, u := range updates {
		if n := recorded.times[keyOf(u)]; n != 1 {
			t.Errorf("event %v was recorded %d times, want once", keyOf(u), n)
		}
	}
	wantResult(d, updates, 0)
}

// untilDone sends a batch again after a lost race, as every caller does.
func untilDone(ctx context.Context, ledger *payments.Ledger, batch []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	for {
		outcomes, err := ledger.Apply(ctx, batch)
		if !errors.Is(err, payments.ErrRaced) {
			return outcomes, err
		}
	}
}

// keepReading lists all events in a loop. No call may fail, and no event may be
// listed twice.
func keepReading(t *testing.T, store Store) (stop func()) {
	var reader sync.WaitGroup
	done := make(chan struct{})
	reader.Go(func() {
		q := payments.EventQuery{Page: payments.PageRequest{Ascending: true, Limit: 7}}
		for {
			select {
			case <-done:
				return
			default:
			}
			page, err := store.Events(t.Context(), q)
			if err != nil {
				t.Errorf("read while others write: %v", err)
				return
			}
			for _, e := range page.Items {
				if q.Page.After != nil && e.Sequence <= q.Page.After.Sequence {
					t.Errorf("event %d comes after %d", e.Sequence, q.Page.After.Sequence)
				}
				q.Page.After = &payments.Cursor{Sequence: e.Sequence}
			}
			if !page.More {
				q.Page.After = nil
			}
		}
	})
	return func() { close(done); reader.Wait() }
}

// tally counts the verdicts other than duplicate, by event.
type tally struct {
	mu    sync.Mutex
	times map[payments.Key]int
}

func (c *tally) add(batch []*payrelayv1.Update, outcomes []*payrelayv1.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = make(map[payments.Key]int)
	}
	for i, outcome := range outcomes {
		if outcome.GetVerdict() != duplicate {
			c.times[keyOf(batch[i])]++
		}
	}
}

func shuffled[T any](rng *rand.Rand, items []T) []T {
	items = slices.Clone(items)
	rng.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	return items
}
