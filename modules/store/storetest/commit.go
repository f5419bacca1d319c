package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

func keysAreForEver(t *testing.T, d *db) {
	first := event(order("e1", 0, orderCreated), applied, noReason)
	d.commit(&payments.Changes{Orders: []*storedOrder{stateOf("o1", orderCreated)}, Events: []*payments.Event{first}})
	apart := event(order("e2", 0, orderNone), dead, unknownStatus)
	d.commit(&payments.Changes{Events: []*payments.Event{apart}})
	d.reopen()

	other, otherKind := first.Key, first.Key
	other.Source, otherKind.Kind = "other", payments.KindDispute
	got := d.load(payments.Lookup{Keys: []payments.Key{first.Key, apart.Key, other, otherKind}}).Recorded
	if len(got) != 2 || got[first.Key] != (payments.Recorded{Facts: first.Facts, InHistory: true}) ||
		got[apart.Key] != (payments.Recorded{Facts: apart.Facts}) {
		t.Errorf("Load(...).Recorded = %+v, want the keys of e1, in the history, and of e2, outside of it", got)
	}
	for _, e := range []*payments.Event{
		event(order("e1", 9, orderNone, of("o9"), body("another body")), dead, unknownStatus),
		event(order("e2", 9, orderNone), dead, unknownStatus),
	} {
		if err := d.Commit(t.Context(), &payments.Changes{Events: []*payments.Event{e}}); !errors.Is(err, payments.ErrRaced) {
			t.Errorf("Commit of a second event %v = %v, want ErrRaced", e.Key, err)
		}
	}
	// The key includes the source and the kind.
	d.commit(&payments.Changes{Events: []*payments.Event{
		event(order("e1", 0, orderNone, from("other")), dead, unknownStatus),
		event(dispute("e1", 0, disputeNone), dead, unknownStatus),
		event(note("e1", 0, "a note"), applied, noReason),
	}})
	if n := len(d.events()); n != 5 {
		t.Errorf("got %d events, want 5", n)
	}
}

// idsNeverCollide records one event id by two sources as an order, a dispute and a
// note, all of which are also named by that id.
func idsNeverCollide(t *testing.T, d *db) {
	const id = "same"
	kinds := []func(source string) *payrelayv1.Update{
		func(source string) *payrelayv1.Update { return order(id, 0, orderCreated, of(id), from(source)) },
		func(source string) *payrelayv1.Update {
			return dispute(id, 0, disputeOpen, of(id), from(source), disputeID(id))
		},
		func(source string) *payrelayv1.Update {
			return note(id, 0, "about "+source, of(id), from(source), func(u *payrelayv1.Update) { u.GetNote().DisputeId = id })
		},
	}
	var updates []*payrelayv1.Update
	for _, make := range kinds {
		for _, source := range []string{"a", "b"} {
			u := make(source)
			u.RawBody = fmt.Append(nil, source, keyOf(u).Kind)
			updates = append(updates, u)
		}
	}
	// Each batch has two sources or three kinds.
	for _, batch := range [][]*payrelayv1.Update{updates[:2], {updates[2], updates[4]}, {updates[3]}, {updates[5]}} {
		for i, outcome := range d.apply(batch...) {
			if v := outcome.GetVerdict(); v != applied {
				t.Errorf("%v was %v, want applied", keyOf(batch[i]), v)
			}
		}
	}
	for i, outcome := range d.apply(updates...) {
		if v := outcome.GetVerdict(); v != duplicate {
			t.Errorf("%v, once more, was %v, want a duplicate", keyOf(updates[i]), v)
		}
	}
	if n, letters := len(d.events()), len(d.letters()); n != len(updates) || letters != 0 {
		t.Errorf("got %d events and %d dead letters, want %d and none", n, letters, len(updates))
	}
	for i, u := range updates {
		key := keyOf(u)
		got := d.load(payments.Lookup{Keys: []payments.Key{key}}).Recorded
		if len(got) != 1 || got[key] != (payments.Recorded{Facts: payments.FactsDigest(u), InHistory: i < 4}) {
			t.Errorf("Load(%v).Recorded = %+v, want that event", key, got)
		}
		if got := string(d.body(key)); got != string(u.GetRawBody()) {
			t.Errorf("Body(%v) = %q, want %q", key, got, u.GetRawBody())
		}
		e := event(u, dead, conflict)
		if err := d.Commit(t.Context(), &payments.Changes{Events: []*payments.Event{e}}); !errors.Is(err, payments.ErrRaced) {
			t.Errorf("Commit of a second event %v = %v, want ErrRaced", key, err)
		}
	}
	// A revision changes only the event of its kind and source.
	for _, u := range updates {
		revised := event(u, stale, noReason)
		revised.Forced = true
		before := d.events()
		d.commit(&payments.Changes{Revised: []*payments.Event{revised}})
		for i, e := range d.events() {
			want := before[i]
			if e.Key == revised.Key {
				want.Verdict, want.Forced = stale, true
			}
			if eventLine(&e.Event) != eventLine(&want.Event) {
				t.Errorf("after a revision of %v got\n%s, want\n%s", revised.Key, eventLine(&e.Event), eventLine(&want.Event))
			}
		}
	}
	wantLines(t, "orders", texts([]payments.Order{d.order(id)}), texts([]payments.Order{d.aggregate(id).State}))
	if history := d.history(id)[id]; len(history) != 2 {
		t.Errorf("got %d events in the history of the order, want those of both sources", len(history))
	}
}

// lostRaces commits changes of every kind that were made from an outdated state,
// once for each way in which a state can be outdated.
func lostRaces(t *testing.T, d *db) {
	lookup := contested(d)
	before := d.everything(lookup)
	for name, spoil := range map[string]func(*payments.Changes){
		"a version that moved on":   func(c *payments.Changes) { c.Orders[2].Version = 1 },
		"a version not yet reached": func(c *payments.Changes) { c.Orders[2].Version = 3 },
		"an order taken for new":    func(c *payments.Changes) { c.Orders[2].Version = 0 },
		"an event that exists": func(c *payments.Changes) {
			c.Events = append(c.Events, event(order("e1", 0, orderCreated), applied, noReason))
		},
		"a dispute that moved on":              func(c *payments.Changes) { c.Disputes[2].Version = 1 },
		"a dispute not yet reached":            func(c *payments.Changes) { c.Disputes[2].Version = 3 },
		"a dispute taken for new":              func(c *payments.Changes) { c.Disputes[2].Version = 0 },
		"a dispute that is not there":          func(c *payments.Changes) { c.Disputes[1].Version = 1 },
		"an order that is not there":           func(c *payments.Changes) { c.Orders[1].Version = 1 },
		"an event to revise that is not there": func(c *payments.Changes) { c.Revised[0].Key.Kind = payments.KindDispute },
	} {
		t.Run(name, func(t *testing.T) {
			changes := allKinds()
			spoil(changes)
			if err := d.Commit(t.Context(), changes); !errors.Is(err, payments.ErrRaced) {
				t.Errorf("Commit = %v, want ErrRaced", err)
			}
			wantLines(t, "after the lost race", d.everything(lookup), before)
		})
	}
	d.commit(allKinds()) // the test shows something only if these are written otherwise
	if added := len(d.everything(lookup)) - len(before); added < 9 {
		t.Errorf("the changes of this test add %d lines, want at least 9", added)
	}
}

// contested stores o1 and o3, each with events and a dispute. o3 has version 2 and a
// dead letter.
func contested(d *db) payments.Lookup {
	refusedEvent := event(order("e3", 1, orderFailed, of("o3")), dead, illegal)
	o1, o3 := stateOf("o1", orderCreated), stateOf("o3", orderSuccess)
	d1, d3 := disputeOf("o1", "d1"), disputeOf("o3", "d3")
	d.commit(&payments.Changes{
		Orders:   []*storedOrder{o1, o3},
		Disputes: []*storedDispute{d1, d3},
		Events: []*payments.Event{
			event(order("e1", 0, orderCreated), applied, noReason),
			event(order("e2", 0, orderSuccess, of("o3")), applied, noReason),
			refusedEvent,
		},
		DeadLetters: []*payments.DeadLetter{letter(refusedEvent)},
	})
	o3.Version, d3.Version = 1, 1
	d.commit(&payments.Changes{Orders: []*storedOrder{o3}, Disputes: []*storedDispute{d3}})
	return payments.Lookup{
		Keys:     []payments.Key{orderKey("e1"), orderKey("new1"), orderKey("new2")},
		Subjects: payments.Subjects{Orders: []string{"o1", "o2", "o3"}, Disputes: disputeKeys("d1", "d2", "d3", "new")},
	}
}

// allKinds returns changes that fit what contested stored: a new and a changed order
// and dispute, new and revised events, a new and a settled dead letter, and an entry
// of the audit log.
func allKinds() *payments.Changes {
	o1, o2, o3 := stateOf("o1", orderUpdated), stateOf("o2", orderCreated), stateOf("o3", orderFailed)
	o1.Version, o3.Version = 1, 2
	d1, d3 := disputeOf("o1", "d1"), disputeOf("o3", "d3")
	d1.Version, d3.Version = 1, 2
	d1.State.Status = disputeWon
	apart := event(order("new2", 5, orderNone, of("o9")), dead, unknownStatus)
	revised := event(order("e3", 1, orderFailed, of("o3")), applied, noReason)
	return &payments.Changes{
		Orders:      []*storedOrder{o1, o2, o3},
		Disputes:    []*storedDispute{d1, disputeOf("o2", "d2"), d3, disputeOf("o1", "new")},
		Events:      []*payments.Event{event(order("new1", 5, orderUpdated), applied, noReason), apart},
		Revised:     []*payments.Event{revised},
		DeadLetters: []*payments.DeadLetter{letter(apart)},
		Settled:     []payments.Settlement{settlement(letter(revised), payments.Reapplied, noon)},
		Audit:       []*payments.AuditEntry{{At: noon, Who: "ann", Action: payments.ActionReplay}},
	}
}

// disputeOf returns a new dispute of the source "generic" whose state does not matter.
func disputeOf(orderID, id string) *storedDispute { return disputeWith(disputeKey(id), orderID) }

func disputeWith(key payments.DisputeKey, orderID string) *storedDispute {
	return &storedDispute{
		State: payments.Dispute{DisputeKey: key, OrderID: orderID, Status: disputeOpen, StatusAt: noon, OpenedAt: noon, UpdatedAt: noon},
		Head:  payments.Position{At: noon, Rank: 1, EventID: "head", Source: "generic"},
		Rules: payments.Rules,
	}
}

// sequenceOfABatch checks that events are listed in the order in which they were
// written.
func sequenceOfABatch(t *testing.T, d *db) {
	var want []string
	for batch := range 3 {
		changes := new(payments.Changes)
		for i := range 150 {
			id := fmt.Sprintf("%d/%d", batch, i*7919%1000)
			want = append(want, id)
			changes.Events = append(changes.Events, event(order(id, -i, orderNone, of(id)), dead, unknownStatus))
		}
		d.commit(changes)
	}
	var got []string
	for _, e := range d.events() {
		got = append(got, e.Key.EventID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got the events %v, want %v", got, want)
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
