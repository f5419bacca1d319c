package storetest

import (
	"fmt"
	"slices"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

func unknownThings(t *testing.T, d *db) {
	unknown := payments.Subjects{
		Orders:   []string{"?", "d1"},
		Disputes: []payments.DisputeKey{{Source: "generic", ID: "?"}, {Source: "?", ID: "d1"}, {Source: "generic", ID: "o1"}},
	}
	for _, stored := range []bool{false, true} {
		if stored {
			contested(d)
		}
		keys := []payments.Key{orderKey("?"), {Source: "?", Kind: payments.KindOrder, EventID: "e1"}, {Source: "generic", Kind: payments.KindNote, EventID: "e1"}}
		for _, lookup := range []payments.Lookup{{Keys: keys, Subjects: unknown}, {}} {
			if got := d.load(lookup); len(got.Recorded)+len(got.Orders)+len(got.Disputes) != 0 {
				t.Errorf("Load(%+v) = %+v, want nothing", lookup, got)
			}
		}
		for _, of := range []payments.Subjects{unknown, {}} {
			if read, err := d.History(t.Context(), of, unlimited); err != nil || len(read.Orders)+len(read.Disputes) != 0 {
				t.Errorf("History(%+v) = %+v, %v, want nothing", of, read, err)
			}
		}
		_, err := d.Order(t.Context(), "?")
		d.wantNotFound(err, "Order")
		for _, key := range unknown.Disputes {
			_, err = d.Dispute(t.Context(), key)
			d.wantNotFound(err, fmt.Sprintf("Dispute(%v)", key))
		}
		if list, err := d.DisputesWith(t.Context(), "o1"); err != nil || len(list) != 0 {
			t.Errorf("DisputesWith(o1) = %v, %v, want none", list, err)
		}
		for _, id := range []int64{0, -1, 1 << 40} {
			_, err = d.DeadLetter(t.Context(), id)
			d.wantNotFound(err, "DeadLetter")
		}
	}
	d.commit(new(payments.Changes)) // an empty commit is no error
}

// aThousand rows of each kind are written and read in one call each, because engines
// bound the number of values in one.
func aThousand(t *testing.T, d *db) {
	const n = 1000
	changes, lookup := new(payments.Changes), payments.Lookup{}
	for i := range n {
		id := fmt.Sprintf("o%04d", i)
		key := payments.DisputeKey{Source: fmt.Sprint("s", i%50), ID: "d" + id}
		e := event(order("e"+id, 0, orderCreated, of(id)), applied, noReason)
		if i%2 == 0 {
			e.Verdict, e.Reason = dead, illegal
			changes.DeadLetters = append(changes.DeadLetters, letter(e))
		}
		changes.Orders, changes.Events = append(changes.Orders, stateOf(id, orderCreated)), append(changes.Events, e)
		changes.Disputes = append(changes.Disputes, disputeWith(key, id))
		lookup.Keys = append(lookup.Keys, e.Key, payments.Key{Source: fmt.Sprint("p", i%50), EventID: "absent" + id})
		lookup.Orders = append(lookup.Orders, id, "absent"+id)
		lookup.Disputes = append(lookup.Disputes, key, payments.DisputeKey{Source: fmt.Sprint("s", (i+1)%50), ID: "d" + id})
	}
	for _, a := range changes.Disputes {
		key := a.State.DisputeKey
		u := dispute("e"+key.ID, 0, disputeOpen, from(key.Source), of(a.State.OrderID), disputeID(key.ID))
		changes.Events = append(changes.Events, event(u, applied, noReason))
	}
	sortDisputes(changes.Disputes)
	d.commit(changes)
	wantAThousand(t, d, lookup, changes, changes.Events)

	again := &payments.Changes{Orders: changes.Orders, Disputes: changes.Disputes, Revised: changes.Events}
	for i := range n {
		again.Orders[i].Version, again.Disputes[i].Version = 1, 1
	}
	for _, e := range again.Revised {
		e.Verdict, e.Reason = stale, noReason
	}
	for _, l := range changes.DeadLetters {
		again.Settled = append(again.Settled, settlement(l, payments.Reapplied, noon))
	}
	d.commit(again)
	wantAThousand(t, d, lookup, again, again.Revised)
	if open := d.openLetters(); len(open) != 0 {
		t.Errorf("%d dead letters are open after all were settled", len(open))
	}
}

// wantAThousand checks what is stored of events, of orders first.
func wantAThousand(t *testing.T, d *db, lookup payments.Lookup, changes *payments.Changes, events []*payments.Event) {
	t.Helper()
	n := len(changes.Orders)
	got, orders, disputes := d.load(lookup), d.history(lookup.Orders...), d.disputeHistory(lookup.Disputes...)
	if len(got.Recorded) != n || len(got.Orders) != n || len(got.Disputes) != n || len(orders) != n || len(disputes) != n {
		t.Errorf("loaded %d keys, %d orders, %d disputes, and %d and %d histories, want %d of each",
			len(got.Recorded), len(got.Orders), len(got.Disputes), len(orders), len(disputes), n)
	}
	for i := range n {
		o, c := *changes.Orders[i], *changes.Disputes[i]
		o.Version++
		c.Version++
		if stored := got.Orders[o.State.ID]; stored == nil || *stored != o {
			t.Fatalf("loaded %+v, want %+v", stored, o)
		}
		if stored := got.Disputes[c.State.DisputeKey]; stored == nil || *stored != c {
			t.Fatalf("loaded %+v, want %+v", stored, c)
		}
		e, id := events[i], events[i].Update.GetOrderId()
		if h := orders[id]; len(h) != 1 || eventLine(h[0]) != eventLine(asRead(e)) {
			t.Fatalf("the history of %s is %v, want %s", id, h, eventLine(e))
		}
		e = events[n+i]
		if h := disputes[e.Dispute()]; len(h) != 1 || eventLine(h[0]) != eventLine(asRead(e)) {
			t.Fatalf("the history of %v is %v, want %s", e.Dispute(), h, eventLine(e))
		}
	}
}

// ordersWithDisputesOnly are known by an id only. Neither the ledger nor a query finds
// such an order, and it begins like every other one.
func ordersWithDisputesOnly(t *testing.T, d *db) {
	d.apply(dispute("e1", 0, disputeOpen, disputeID("d1")), note("e2", 0, "a note"))
	wantAbsentOrder(d, "o1")
	if d.dispute("d1").OrderID != "o1" || d.disputeAggregate(disputeKey("d1")).Version != 1 {
		t.Errorf("got the dispute %+v, want one of o1 with version 1", d.dispute("d1"))
	}
	if page, err := d.Events(t.Context(), payments.EventQuery{OrderIDs: []string{"o1"}, Disputes: true, Page: whole}); err != nil || len(page.Items) != 1 {
		t.Errorf("got %d events of disputes of the order (%v), want 1", len(page.Items), err)
	}

	wantOutcomes(t, d.apply(order("e2", 1, orderCreated), dispute("e3", 2, disputeWon, disputeID("d1"))), verdict(applied), verdict(applied))
	wantOutcomes(t, d.apply(order("e4", 3, orderSuccess)), verdict(applied))
	if a := d.aggregate("o1"); a.Version != 2 || d.order("o1") != a.State || a.State.Status != orderSuccess {
		t.Errorf("after updates of the order got %+v, want version 2 and its state", a)
	}
	if a := d.disputeAggregate(disputeKey("d1")); a.Version != 2 || a.State.Status != disputeWon {
		t.Errorf("after updates of the order the dispute is %+v, want it won and with version 2", a)
	}
}

// wantAbsentOrder checks that neither the ledger nor a query finds an order, where no
// other orders are stored.
func wantAbsentOrder(d *db, id string) {
	d.t.Helper()
	if got := d.load(payments.Lookup{Subjects: payments.Subjects{Orders: []string{id}}}); len(got.Orders) != 0 {
		d.t.Errorf("loaded %+v, want no order", got.Orders[id])
	}
	_, err := d.Order(d.t.Context(), id)
	d.wantNotFound(err, "order "+id)
	for _, q := range []payments.OrderQuery{{}, {OrderIDs: []string{id}}} {
		d.orderListing(q, nil).check(d.t, whole)
	}
}

// stateless are an order and a dispute that are stored without a state, because none of
// their events counts. The ledger loads them, and queries omit them.
func stateless(t *testing.T, d *db) {
	o := &storedOrder{State: payments.Order{ID: "o1"}, Rules: payments.Rules}
	c := &storedDispute{State: payments.Dispute{DisputeKey: disputeKey("d1")}, Rules: 1}
	gone := event(order("gone", 1, orderSuccess, user("gone")), dead, contradiction)
	gone.Discarded = true
	d.commit(&payments.Changes{
		Orders: []*storedOrder{o}, Disputes: []*storedDispute{c},
		Events: []*payments.Event{gone, event(dispute("e2", 2, disputeOpen, disputeID("d1"), amount(7, "USD")), applied, noReason)},
	})
	o.Version, c.Version = 1, 1
	if got := d.aggregate("o1"); *got != *o {
		t.Errorf("loaded %+v, want %+v", got, o)
	}
	if got := d.disputeAggregate(disputeKey("d1")); *got != *c {
		t.Errorf("loaded %+v, want %+v", got, c)
	}
	wantListedOrder(d, o.State)
	wantListedDispute(d, c.State)
	d.orderListing(payments.OrderQuery{}, nil).check(t, whole)
	d.disputeListing(payments.DisputeQuery{}, nil).check(t, whole)
	if list, err := d.DisputesWith(t.Context(), "d1"); err != nil || len(list) != 0 {
		t.Errorf("DisputesWith = %v, %v, want none", list, err)
	}

	// The dispute was folded by older rules: the ledger reads its history first.
	wantOutcomes(t, d.apply(order("e1", 0, orderCreated), dispute("e3", 3, disputeWon, disputeID("d1"))), verdict(applied), verdict(applied))
	if got := d.aggregate("o1"); got.Version != 2 || got.State.Status != orderCreated || got.State.UserID != "" {
		t.Errorf("after an update got the order %+v, want it created with version 2", got)
	}
	got := d.disputeAggregate(disputeKey("d1"))
	if got.Version != 2 || got.Rules != payments.Rules || got.State.OpenedAt != after(2) || got.State.Amount.MinorUnits != 7 || got.State.Status != disputeWon {
		t.Errorf("after an update got the dispute %+v, want it won and folded from both events", got)
	}
}

// refusedOrder has events, but none in its history. The order does not exist before an
// update is applied.
func refusedOrder(t *testing.T, d *db) {
	for i := range 2 {
		wantOutcomes(t, d.apply(order(fmt.Sprint("e", i), i, orderNone, word("new"))), refused(unknownStatus))
		wantAbsentOrder(d, "o1")
	}
	page, err := d.Events(t.Context(), payments.EventQuery{OrderIDs: []string{"o1"}, Page: whole})
	if err != nil || len(page.Items) != 2 {
		t.Errorf("got %d events of the order (%v), want 2", len(page.Items), err)
	}
	wantOutcomes(t, d.apply(order("e9", 9, orderCreated)), verdict(applied))
	if a := d.aggregate("o1"); a.Version != 1 || d.order("o1") != a.State {
		t.Errorf("after updates of the order got %+v, want its state", a)
	}
}

// historyHasFoldedEvents checks that a history has the events of its own order or
// dispute that are InHistory. A revised event can move in and out.
func historyHasFoldedEvents(t *testing.T, d *db) {
	gone := event(order("gone", 2, orderFailed), dead, contradiction)
	gone.Discarded = true
	moving := event(order("moving", 4, orderUpdated), dead, futureTime)
	movingDispute := event(dispute("moving", 4, disputeLost, disputeID("d1")), dead, futureTime)
	d.commit(&payments.Changes{
		Orders:   []*storedOrder{stateOf("o1", orderCreated), stateOf("o2", orderCreated)},
		Disputes: []*storedDispute{disputeOf("o1", "d1"), disputeOf("o1", "d2")},
		Events: []*payments.Event{
			event(order("e1", 0, orderCreated), applied, noReason),
			event(dispute("c1", 1, disputeOpen, disputeID("d1")), stale, noReason),
			event(dispute("c2", 2, disputeOpen, disputeID("d2")), dead, contradiction),
			event(order("e2", 3, orderCreated), dead, illegal),
			event(order("e3", 3, orderCreated, of("o2")), applied, noReason),
			event(order("e4", 3, orderNone), dead, unknownStatus),
			event(dispute("c3", 3, disputeOpen, disputeID("d1"), from("other")), applied, noReason),
			event(note("e5", 3, "about the dispute", func(u *payrelayv1.Update) { u.GetNote().DisputeId = "d1" }), applied, noReason),
			event(note("e6", 3, "about the order"), applied, noReason),
			gone, moving, movingDispute,
		},
	})
	wantHistory(d, []string{"e1", "e2"}, []string{"c1"})
	for _, to := range []struct {
		*payrelayv1.Outcome
		forced, discarded bool
		moved             []string
	}{
		{Outcome: verdict(applied), moved: []string{"moving"}},
		{Outcome: refused(futureTime)},
		{Outcome: verdict(applied), forced: true, moved: []string{"moving"}},
		{Outcome: refused(contradiction), moved: []string{"moving"}},
		{Outcome: refused(contradiction), discarded: true},
		{Outcome: refused(illegal), moved: []string{"moving"}},
	} {
		for _, e := range []*payments.Event{moving, movingDispute} {
			e.Verdict, e.Reason, e.Forced, e.Discarded = to.GetVerdict(), to.GetReason(), to.forced, to.discarded
		}
		d.commit(&payments.Changes{Revised: []*payments.Event{moving, movingDispute}})
		wantHistory(d, slices.Concat([]string{"e1", "e2"}, to.moved), slices.Concat([]string{"c1"}, to.moved))
		for _, e := range []*payments.Event{moving, movingDispute} {
			recorded := d.load(payments.Lookup{Keys: []payments.Key{e.Key}}).Recorded[e.Key]
			if recorded != (payments.Recorded{Facts: e.Facts, InHistory: e.InHistory()}) {
				t.Errorf("%v is recorded as %+v, want it as revised", e, recorded)
			}
			i := slices.IndexFunc(d.events(), func(r payments.RecordedEvent) bool { return r.Key == e.Key })
			wantEvent(t, &d.events()[i].Event, asRead(e))
		}
	}
}

func wantHistory(d *db, ofOrder, ofDispute []string) {
	d.t.Helper()
	orders, disputes := d.history("o1", "o2", "o3"), d.disputeHistory(disputeKeys("d1", "d2", "d3")...)
	if got := eventIDs(orders["o1"]); !slices.Equal(got, ofOrder) || len(orders["o2"]) != 1 || len(orders["o3"]) != 0 {
		d.t.Errorf("the history of o1 is %v, want %v; got %d events of o2 and %d of o3, want 1 and none", got, ofOrder, len(orders["o2"]), len(orders["o3"]))
	}
	got := eventIDs(disputes[disputeKey("d1")])
	if n, m := len(disputes[disputeKey("d2")]), len(disputes[disputeKey("d3")]); !slices.Equal(got, ofDispute) || n != 1 || m != 0 {
		d.t.Errorf("the history of d1 is %v, want %v; got %d events of d2 and %d of d3, want 1 and none", got, ofDispute, n, m)
	}
}

// eventIDs returns the sorted ids of events.
func eventIDs(events []*payments.Event) (ids []string) {
	for _, e := range events {
		ids = append(ids, e.Key.EventID)
	}
	slices.Sort(ids)
	return ids
}
