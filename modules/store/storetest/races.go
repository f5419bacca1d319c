package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
)

// oneWriterWins checks that of several writers of the same version, or of the same new
// order, dispute or event, exactly one succeeds.
func oneWriterWins(t *testing.T, d *db) {
	d.commit(&payments.Changes{Orders: []*storedOrder{stateOf("o1", orderCreated)}, Disputes: []*storedDispute{disputeOf("o1", "d1")}})
	handles := []payments.Store{d.Store, d.Open(t)}
	// Each writer has an order of its own too, of which that of the winner is stored.
	own := func(test string, writer int) []*storedOrder {
		return []*storedOrder{stateOf(fmt.Sprint("own/", test, writer), orderCreated)}
	}
	for name, changes := range map[string]func(writer int) *payments.Changes{
		"version": func(writer int) *payments.Changes {
			a := stateOf("o1", orderUpdated)
			a.Version = 1
			return &payments.Changes{Orders: append([]*storedOrder{a}, own("version", writer)...)}
		},
		"order": func(writer int) *payments.Changes {
			return &payments.Changes{Orders: append([]*storedOrder{stateOf("o2", orderCreated)}, own("order", writer)...)}
		},
		"dispute version": func(writer int) *payments.Changes {
			a := disputeOf("o1", "d1")
			a.Version = 1
			return &payments.Changes{Orders: own("dispute version", writer), Disputes: []*storedDispute{a}}
		},
		"dispute": func(writer int) *payments.Changes {
			return &payments.Changes{Orders: own("dispute", writer), Disputes: []*storedDispute{disputeOf("o1", "d2")}}
		},
		"event": func(writer int) *payments.Changes {
			own := own("event", writer)
			e := event(order("e1", 0, orderCreated, of(own[0].State.ID)), applied, noReason)
			return &payments.Changes{Orders: own, Events: []*payments.Event{e}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if won := race(t, handles, changes); won != 1 {
				t.Errorf("%d writers succeeded, want 1", won)
			}
		})
	}
	page, err := d.Orders(t.Context(), payments.OrderQuery{Page: whole})
	if err != nil || len(page.Items) != 7 { // o1, o2, and those of five winners
		t.Errorf("got %d orders (%v), want 7 and none of a writer that lost", len(page.Items), err)
	}
}

// ordersAndDisputesDoNotRace checks that an order and its disputes have versions of
// their own: a change of one is no race for the others.
func ordersAndDisputesDoNotRace(t *testing.T, d *db) {
	const key = "same"
	o, c, other := stateOf(key, orderCreated), disputeOf(key, key), disputeWith(payments.DisputeKey{Source: "other", ID: key}, key)
	for version := range int64(3) {
		o.Version, c.Version, other.Version = version, version, version
		d.commit(&payments.Changes{Orders: []*storedOrder{o}})
		d.commit(&payments.Changes{Disputes: []*storedDispute{c}})
		d.commit(&payments.Changes{Disputes: []*storedDispute{other}})
	}
	if a, b := d.aggregate(key), d.disputeAggregate(other.State.DisputeKey); a.Version != 3 || b.Version != 3 {
		t.Errorf("got the versions %d and %d, want 3", a.Version, b.Version)
	}
}

// race commits from eight writers at once and returns how many succeed.
func race(t *testing.T, handles []payments.Store, changes func(writer int) *payments.Changes) int32 {
	var writers sync.WaitGroup
	var won atomic.Int32
	for writer := range 8 {
		writers.Go(func() {
			switch err := handles[writer%len(handles)].Commit(t.Context(), changes(writer)); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, payments.ErrRaced):
				t.Errorf("Commit = %v, want ErrRaced", err)
			}
		})
	}
	writers.Wait()
	return won.Load()
}

// loadWhileWriting checks that nothing that is loaded is older than the version loaded
// with it. Commit detects a version that has moved on, so newer data does no harm, but
// older data would go unnoticed.
func loadWhileWriting(t *testing.T, d *db) {
	const versions = 100
	other := d.Open(t)
	var writer sync.WaitGroup
	var done atomic.Bool
	defer writer.Wait()
	writer.Go(func() {
		defer done.Store(true)
		for version := range versions {
			a, c := stateOf("o1", orderUpdated), disputeOf("o1", "d1")
			a.Version, c.Version = int64(version), int64(version)
			a.State.Amount.MinorUnits, c.State.Amount.MinorUnits = a.Version+1, a.Version+1
			if err := other.Commit(t.Context(), &payments.Changes{Orders: []*storedOrder{a}, Disputes: []*storedDispute{c}}); err != nil {
				t.Errorf("write version %d: %v", version, err)
				return
			}
		}
	})
	for !done.Load() {
		got := d.load(payments.Lookup{Subjects: payments.Subjects{Orders: []string{"o1"}, Disputes: disputeKeys("d1")}})
		if a := got.Orders["o1"]; a != nil && a.State.Amount.MinorUnits < a.Version {
			t.Fatalf("loaded with version %d: %+v, want nothing older", a.Version, a)
		}
		if a := got.Disputes[disputeKey("d1")]; a != nil && a.State.Amount.MinorUnits < a.Version {
			t.Fatalf("loaded with version %d: %+v, want nothing older", a.Version, a)
		}
	}
}

// discardWhileWriting has two operators discard the same dead letters while a ledger
// writes.
func discardWhileWriting(t *testing.T, d *db) {
	const letters = 20
	changes := new(payments.Changes)
	for i := range letters {
		changes.DeadLetters = append(changes.DeadLetters, letter(event(order(fmt.Sprint("e", i), 0, orderCreated), dead, conflict)))
	}
	d.commit(changes)
	all := d.letters()
	var people sync.WaitGroup
	for i, operator := range []Store{d.Store, d.Open(t)} {
		people.Go(func() {
			for _, l := range all {
				if _, err := decideOne(t.Context(), operator, l.ID, payments.Discarded, fmt.Sprint("operator", i), "a test"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	other := d.Open(t)
	people.Go(func() {
		for i := range letters {
			if err := other.Commit(t.Context(), &payments.Changes{Orders: []*storedOrder{stateOf(fmt.Sprint("o", i), orderCreated)}}); err != nil {
				t.Error(err)
			}
		}
	})
	people.Wait()
	if open := d.openLetters(); len(open) != 0 {
		t.Errorf("%d dead letters are open after all were discarded", len(open))
	}
}

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
	var histories []*randomHistory
	for i := range 5 {
		h := newHistory(d, fmt.Sprint(i, "/"), oracle.RandomHistory(rng, fmt.Sprint(i, "/"), 24))
		updates, histories = append(updates, h.updates...), append(histories, h)
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
				outcomes, err := applyUntilNotRaced(t.Context(), ledger, batch)
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
	for _, h := range histories {
		h.check(0)
	}
}

// twoOperators decide about the same dead letters at once, one by accepting and the
// other by discarding: of events in a history and outside of one, and of conflicts. One
// of the operators wins each time, and the other gets ErrSettled.
func twoOperators(t *testing.T, d *db) {
	const rounds = 15
	operators := []Store{d.Store, d.Open(t)}
	for i := range rounds {
		id := fmt.Sprint("o", i)
		d.apply(order("e1"+id, 0, orderSuccess, of(id)), dispute("e1"+id, 0, disputeLost, of(id)))
		d.apply([]*payrelayv1.Update{
			order("e2"+id, 1, orderFailed, of(id)), dispute("e2"+id, 0, disputeWon, of(id)), order("e1"+id, 1, orderFailed, of(id)),
			order("e2"+id, 0, orderFailed, of(id), happened(noon.AddDate(500, 0, 0))),
		}[i%4])
		decideAtOnce(t, d, operators, d.openLetters()[0].ID)
	}
	if open := d.openLetters(); len(open) != 0 {
		t.Errorf("%d dead letters are open, want none", len(open))
	}
}

// decideAtOnce has one operator accept a dead letter while the other discards it.
func decideAtOnce(t *testing.T, d *db, operators []Store, id int64) {
	t.Helper()
	errs := make([]error, 2)
	var people sync.WaitGroup
	for operator, handle := range operators {
		people.Go(func() {
			if operator == 0 {
				_, errs[0] = decideOne(t.Context(), handle, id, payments.Accepted, "ann", "it is real")
			} else {
				_, errs[1] = decideOne(t.Context(), handle, id, payments.Discarded, "bob", "it is not")
			}
		})
	}
	people.Wait()
	l, err := d.DeadLetter(t.Context(), id)
	d.check(err)
	won, by, lost := payments.Accepted, "ann", errs[1]
	if errs[0] != nil {
		won, by, lost = payments.Discarded, "bob", errs[0]
	}
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(lost, payments.ErrSettled) || l.Resolution != won || l.By != by {
		t.Errorf("Accept = %v, Discard = %v, and the dead letter is %+v, want one of them", errs[0], errs[1], l)
	}
	for _, e := range d.events() {
		if e.Key == l.Key && l.Reason != conflict && (e.Forced != (won == payments.Accepted) || e.Discarded != (won == payments.Discarded)) {
			t.Errorf("event %s, want it as its dead letter %+v", eventLine(&e.Event), l)
		}
	}
}

// applyUntilNotRaced sends a batch again after a lost race, as every caller does. It gives up
// after more lost races in a row than other writers can cause.
func applyUntilNotRaced(ctx context.Context, ledger *payments.Ledger, batch []*payrelayv1.Update) (outcomes []*payrelayv1.Outcome, err error) {
	for range 100 {
		if outcomes, err = ledger.Apply(ctx, batch); !errors.Is(err, payments.ErrRaced) {
			break
		}
	}
	return outcomes, err
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
