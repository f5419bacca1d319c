package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

func keysAreForEver(t *testing.T, d *db) {
	first := event(order("e1", 0, orderCreated), applied, noReason)
	d.commit(&payments.Changes{Aggregates: []*payments.Aggregate{stateOf("o1", orderCreated)}, Events: []*payments.Event{first}})
	apart := event(order("e2", 0, orderNone), dead, unknownStatus)
	d.commit(&payments.Changes{Events: []*payments.Event{apart}})
	d.reopen()

	other := payments.Key{Provider: "other", EventID: "e1"}
	got := d.load(payments.Lookup{Keys: []payments.Key{first.Key, apart.Key, other}}).Recorded
	if len(got) != 2 || got[first.Key] != (payments.Recorded{Digest: first.Digest, InHistory: true}) ||
		got[apart.Key] != (payments.Recorded{Digest: apart.Digest}) {
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
	// The key includes the provider.
	d.commit(&payments.Changes{Events: []*payments.Event{event(order("e1", 0, orderNone, from("other")), dead, unknownStatus)}})
	if n := len(d.events()); n != 3 {
		t.Errorf("got %d events, want 3", n)
	}
}

// lostRaces commits changes of every kind that were made from an outdated state,
// once for each way in which a state can be outdated.
func lostRaces(t *testing.T, d *db) {
	lookup := contested(d)
	before := d.everything(lookup)
	for name, spoil := range map[string]func(*payments.Changes){
		"a version that moved on":   func(c *payments.Changes) { c.Aggregates[2].Version = 1 },
		"a version not yet reached": func(c *payments.Changes) { c.Aggregates[2].Version = 3 },
		"an order taken for new":    func(c *payments.Changes) { c.Aggregates[2].Version = 0 },
		"an event that exists": func(c *payments.Changes) {
			c.Events = append(c.Events, event(order("e1", 0, orderCreated), applied, noReason))
		},
		"a dispute of another order":        func(c *payments.Changes) { c.Aggregates[2].Disputes = disputesOf("o3", "d1") },
		"a dispute of another, a new order": func(c *payments.Changes) { c.Aggregates[1].Disputes = disputesOf("o2", "d1") },
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
	if added := len(d.everything(lookup)) - len(before); added < 8 {
		t.Errorf("the changes of this test add %d lines, want at least 8", added)
	}
}

// contested stores o1 and o3, each with events and a dispute. o3 has version 2 and a
// dead letter.
func contested(d *db) payments.Lookup {
	refusedEvent := event(order("e3", 1, orderFailed, of("o3")), dead, illegal)
	o1, o3 := stateOf("o1", orderCreated), stateOf("o3", orderSuccess)
	o1.Disputes, o3.Disputes = disputesOf("o1", "d1"), disputesOf("o3", "d3")
	d.commit(&payments.Changes{
		Aggregates: []*payments.Aggregate{o1, o3},
		Events: []*payments.Event{
			event(order("e1", 0, orderCreated), applied, noReason),
			event(order("e2", 0, orderSuccess, of("o3")), applied, noReason),
			refusedEvent,
		},
		DeadLetters: []*payments.DeadLetter{letter(refusedEvent)},
	})
	o3.Version = 1
	d.commit(&payments.Changes{Aggregates: []*payments.Aggregate{o3}})
	return payments.Lookup{
		Keys: []payments.Key{
			{Provider: "generic", EventID: "e1"}, {Provider: "generic", EventID: "new1"}, {Provider: "generic", EventID: "new2"},
		},
		OrderIDs:   []string{"o1", "o2", "o3"},
		DisputeIDs: []string{"d1", "d2", "d3", "new"},
	}
}

// allKinds returns changes that fit what contested stored: a new and a changed order
// and dispute, new and revised events, a new and a settled dead letter.
func allKinds() *payments.Changes {
	o1, o2, o3 := stateOf("o1", orderUpdated), stateOf("o2", orderCreated), stateOf("o3", orderFailed)
	o1.Version, o3.Version = 1, 2
	o1.Disputes, o2.Disputes, o3.Disputes = disputesOf("o1", "d1", "new"), disputesOf("o2", "d2"), disputesOf("o3", "d3")
	o1.Disputes[0].State.Status = disputeWon
	apart := event(order("new2", 5, orderNone, of("o9")), dead, unknownStatus)
	revised := event(order("e3", 1, orderFailed, of("o3")), applied, noReason)
	return &payments.Changes{
		Aggregates:  []*payments.Aggregate{o1, o2, o3},
		Events:      []*payments.Event{event(order("new1", 5, orderUpdated), applied, noReason), apart},
		Revised:     []*payments.Event{revised},
		DeadLetters: []*payments.DeadLetter{letter(apart)},
		Settled:     []payments.Settlement{settlement(letter(revised), payments.Reapplied, noon)},
	}
}

func disputesOf(orderID string, ids ...string) []payments.Folded[payments.Dispute] {
	list := make([]payments.Folded[payments.Dispute], len(ids))
	for i, id := range ids {
		list[i].State = payments.Dispute{ID: id, OrderID: orderID, Status: disputeOpen, OpenedAt: noon, UpdatedAt: noon}
		list[i].Head = payments.Position{At: noon, Rank: 1, EventID: "head"}
	}
	return list
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
