package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
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

func endedContext(t *testing.T, d *db) {
	lookup := contested(d)
	before := d.everything(lookup)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	id := d.theLetter().ID
	for name, call := range map[string]func() error{
		"Commit":     func() error { return d.Commit(ended, allKinds()) },
		"Load":       func() error { _, err := d.Load(ended, lookup); return err },
		"History":    func() error { _, err := d.History(ended, lookup.Subjects, unlimited); return err },
		"DeadLetter": func() error { _, err := d.DeadLetter(ended, id); return err },
		"Order":      func() error { _, err := d.Order(ended, "o1"); return err },
		"Events":     func() error { _, err := d.Events(ended, payments.EventQuery{Page: whole}); return err },
		"Dispute":    func() error { _, err := d.Dispute(ended, disputeKey("d1")); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", name, err)
		}
	}
	wantLines(t, "after calls in an ended context", d.everything(lookup), before)
	d.commit(allKinds()) // the handle still works
}

// cutShort ends the context during the commit, so that its result is not known. The
// same commit is made again, after which everything is stored once.
func cutShort(t *testing.T, d *db) {
	const commits = 30
	for i := range commits {
		id := fmt.Sprintf("o%02d", i)
		e := event(order(id, 0, orderNone, of(id)), dead, illegal)
		changes := &payments.Changes{
			Orders:      []*storedOrder{stateOf(id, orderCreated)},
			Events:      []*payments.Event{e},
			DeadLetters: []*payments.DeadLetter{letter(e)},
		}
		ctx, cancel := context.WithCancel(t.Context())
		var cutting sync.WaitGroup
		cutting.Go(cancel)
		first := d.Commit(ctx, changes)
		cutting.Wait()
		switch second := d.Commit(t.Context(), changes); {
		case first == nil && second == nil:
			t.Errorf("commit %d succeeded twice, want ErrRaced the second time", i)
		case second != nil && !errors.Is(second, payments.ErrRaced):
			t.Errorf("commit %d, made again: %v", i, second)
		}
	}
	page, err := d.Orders(t.Context(), payments.OrderQuery{Page: whole})
	d.check(err)
	if orders, events, letters := len(page.Items), len(d.events()), len(d.letters()); orders != commits || events != commits || letters != commits {
		t.Errorf("got %d orders, %d events and %d dead letters, want %d of each", orders, events, letters, commits)
	}
}
