package storetest

import (
	"fmt"
	"slices"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

func unknownThings(t *testing.T, d *db) {
	for _, stored := range []bool{false, true} {
		if stored {
			contested(d)
		}
		got := d.load(payments.Lookup{
			Keys: []payments.Key{{Provider: "generic", EventID: "?"}, {Provider: "?", EventID: "e1"}}, OrderIDs: []string{"?", "d1"}, DisputeIDs: []string{"?", "o1"},
		})
		if len(got.Recorded)+len(got.Aggregates)+len(got.DisputeOrders) != 0 {
			t.Errorf("loaded %+v, want nothing", got)
		}
		if got := d.load(payments.Lookup{}); len(got.Recorded)+len(got.Aggregates)+len(got.DisputeOrders) != 0 {
			t.Errorf("an empty lookup loads %+v, want nothing", got)
		}
		if got := d.history("?"); len(got["?"]) != 0 {
			t.Errorf("the history of an unknown order is %v, want none", got)
		}
		_, err := d.Order(t.Context(), "?")
		d.wantNotFound(err, "Order")
		_, err = d.Dispute(t.Context(), "?")
		d.wantNotFound(err, "Dispute")
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
		a := stateOf(id, orderCreated)
		a.Disputes = disputesOf(id, "d"+id)
		e := event(order("e"+id, 0, orderCreated, of(id)), applied, noReason)
		if i%2 == 0 {
			e.Verdict, e.Reason = dead, illegal
			changes.DeadLetters = append(changes.DeadLetters, letter(e))
		}
		changes.Aggregates, changes.Events = append(changes.Aggregates, a), append(changes.Events, e)
		lookup.Keys = append(lookup.Keys, e.Key, payments.Key{Provider: fmt.Sprint("p", i%50), EventID: "absent" + id})
		lookup.OrderIDs = append(lookup.OrderIDs, id, "absent"+id)
		lookup.DisputeIDs = append(lookup.DisputeIDs, "d"+id, "absent"+id)
	}
	d.commit(changes)
	wantAThousand(t, d, lookup, changes)

	again := &payments.Changes{Aggregates: changes.Aggregates, Revised: changes.Events}
	for i, a := range again.Aggregates {
		a.Version = 1
		again.Revised[i].Verdict, again.Revised[i].Reason = stale, noReason
	}
	for _, l := range changes.DeadLetters {
		again.Settled = append(again.Settled, settlement(l, payments.Reapplied, noon))
	}
	d.commit(again)
	wantAThousand(t, d, lookup, again)
	if open := d.openLetters(); len(open) != 0 {
		t.Errorf("%d dead letters are open after all were settled", len(open))
	}
}

func wantAThousand(t *testing.T, d *db, lookup payments.Lookup, changes *payments.Changes) {
	t.Helper()
	n := len(changes.Aggregates)
	got, history := d.load(lookup), d.history(lookup.OrderIDs...)
	if len(got.Recorded) != n || len(got.Aggregates) != n || len(got.DisputeOrders) != n || len(history) != n {
		t.Errorf("loaded %d keys, %d orders, %d disputes, %d histories, want %d of each",
			len(got.Recorded), len(got.Aggregates), len(got.DisputeOrders), len(history), n)
	}
	for i, want := range changes.Aggregates {
		id := want.OrderID
		a := got.Aggregates[id]
		if a == nil || a.Version != want.Version+1 || a.Order != want.Order || !slices.Equal(a.Disputes, want.Disputes) {
			t.Fatalf("loaded %+v, want %+v", a, want)
		}
		e := append(changes.Events, changes.Revised...)[i]
		if h := history[id]; len(h) != 1 || eventLine(h[0]) != eventLine(asRead(e)) {
			t.Fatalf("the history of %s is %v, want %s", id, h, eventLine(e))
		}
		if got.DisputeOrders["d"+id] != id {
			t.Fatalf("the order of dispute d%s is %q, want %[1]q", id, got.DisputeOrders["d"+id])
		}
	}
}

// shells are orders that are known only through their disputes. The ledger loads them,
// and queries omit them.
func shells(t *testing.T, d *db) {
	d.apply(dispute("e1", 0, disputeOpen, disputeID("d1")))
	wantAbsentOrder(d, "o1")
	a := d.aggregate("o1")
	if a.Version != 1 || a.Order != (payments.Folded[payments.Order]{State: payments.Order{ID: "o1"}}) || len(a.Disputes) != 1 {
		t.Errorf("loaded %+v, want an order with an id and a dispute", a)
	}
	if d.dispute("d1").OrderID != "o1" {
		t.Errorf("got the dispute %+v, want one of o1 that is open", d.dispute("d1"))
	}

	wantOutcomes(t, d.apply(order("e2", 1, orderCreated), dispute("e3", 2, disputeWon, disputeID("d1"))), verdict(applied), verdict(applied))
	wantOutcomes(t, d.apply(order("e4", 3, orderSuccess)), verdict(applied)) // a commit without the dispute
	if a := d.aggregate("o1"); a.Version != 3 || d.order("o1") != a.Order.State || len(a.Disputes) != 1 || a.Disputes[0].State.Status != disputeWon {
		t.Errorf("after updates of the order got %+v, want its state", a)
	}
}

func wantAbsentOrder(d *db, id string) {
	d.t.Helper()
	_, err := d.Order(d.t.Context(), id)
	d.wantNotFound(err, "order "+id)
	for _, q := range []payments.OrderQuery{{Page: whole}, {OrderIDs: []string{id}, Page: whole}} {
		page, err := d.Orders(d.t.Context(), q)
		if err != nil || len(page.Items) != 0 {
			d.t.Errorf("listed orders %+v (%v), want none", page.Items, err)
		}
	}
}

// refusedDispute is a dispute with a history but without a state.
func refusedDispute(t *testing.T, d *db) {
	got := d.apply(order("e1", 0, orderCreated, amount(1, "USD")), dispute("e2", 1, disputeOpen, disputeID("d1"), amount(1, "EUR")))
	wantOutcomes(t, got, verdict(applied), refused(currencyMismatch))
	_, err := d.Dispute(t.Context(), "d1")
	d.wantNotFound(err, "dispute d1")
	for _, q := range []payments.DisputeQuery{{Page: whole}, {DisputeIDs: []string{"d1"}, OrderIDs: []string{"o1"}, Page: whole}} {
		page, err := d.Disputes(t.Context(), q)
		if err != nil || len(page.Items) != 0 {
			t.Errorf("listed disputes %+v (%v), want none", page.Items, err)
		}
	}
	want := payments.Folded[payments.Dispute]{
		State: payments.Dispute{ID: "d1", OrderID: "o1"}, Head: payments.Position{At: after(1), Rank: 1, EventID: "e2"},
	}
	if a := d.aggregate("o1"); len(a.Disputes) != 1 || a.Disputes[0] != want {
		t.Errorf("loaded the disputes %+v, want %+v", a.Disputes, want)
	}
	if owner := d.load(payments.Lookup{DisputeIDs: []string{"d1"}}).DisputeOrders["d1"]; owner != "o1" {
		t.Errorf("the order of the dispute is %q, want o1", owner)
	}
	// The dispute belongs to o1 now: o2 cannot have it, and o1 can continue with it.
	got = d.apply(dispute("e3", 2, disputeOpen, of("o2"), disputeID("d1")), dispute("e4", 3, disputeOpen, disputeID("d1"), amount(1, "USD")))
	wantOutcomes(t, got, refused(orderMismatch), verdict(applied))
	if d.dispute("d1").Status != disputeOpen {
		t.Errorf("got the dispute %+v, want one of o1 that is open", d.dispute("d1"))
	}
}

// refusedOrder has events, but none in its history. The order does not exist before an
// update is applied.
func refusedOrder(t *testing.T, d *db) {
	for i := range 2 {
		wantOutcomes(t, d.apply(order(fmt.Sprint("e", i), i, orderNone, word("new"))), refused(unknownStatus))
		wantAbsentOrder(d, "o1")
		if got := d.load(payments.Lookup{OrderIDs: []string{"o1"}}); len(got.Aggregates) != 0 {
			t.Errorf("loaded %+v, want no order", got.Aggregates["o1"])
		}
	}
	page, err := d.Events(t.Context(), payments.EventQuery{OrderIDs: []string{"o1"}, Page: whole})
	if err != nil || len(page.Items) != 2 {
		t.Errorf("got %d events of the order (%v), want 2", len(page.Items), err)
	}
	wantOutcomes(t, d.apply(order("e9", 9, orderCreated)), verdict(applied))
	if a := d.aggregate("o1"); a.Version != 1 || d.order("o1") != a.Order.State {
		t.Errorf("after updates of the order got %+v, want its state", a)
	}
}

// historyIsWhatIsFolded checks that the history has the events of the order and of all
// its disputes that are InHistory. A revised event can move in and out.
func historyIsWhatIsFolded(t *testing.T, d *db) {
	moving := event(order("moving", 4, orderUpdated), dead, futureTime)
	a := stateOf("o1", orderCreated)
	a.Disputes = disputesOf("o1", "d1", "d2")
	d.commit(&payments.Changes{
		Aggregates: []*payments.Aggregate{a, stateOf("o2", orderCreated)},
		Events: []*payments.Event{
			event(order("e1", 0, orderCreated), applied, noReason),
			event(dispute("e2", 1, disputeOpen, disputeID("d1")), stale, noReason),
			event(dispute("e3", 2, disputeOpen, disputeID("d2")), dead, currencyMismatch),
			event(order("e4", 3, orderCreated), dead, illegal),
			event(order("e5", 3, orderCreated, of("o2")), applied, noReason),
			event(order("e6", 3, orderNone), dead, unknownStatus),
			event(dispute("e7", 3, disputeOpen, disputeID("d9")), dead, orderMismatch),
			moving,
		},
	})
	wantHistory(d, "e1", "e2", "e3", "e4")
	for _, to := range []struct {
		*payrelayv1.Outcome
		history []string
	}{
		{verdict(applied), []string{"e1", "e2", "e3", "e4", "moving"}},
		{refused(futureTime), []string{"e1", "e2", "e3", "e4"}},
		{refused(illegal), []string{"e1", "e2", "e3", "e4", "moving"}},
	} {
		moving.Verdict, moving.Reason = to.GetVerdict(), to.GetReason()
		d.commit(&payments.Changes{Revised: []*payments.Event{moving}})
		wantHistory(d, to.history...)
		wantOutcomes(t, []*payrelayv1.Outcome{d.verdictOf("moving")}, to.Outcome)
		recorded := d.load(payments.Lookup{Keys: []payments.Key{moving.Key}}).Recorded[moving.Key]
		if recorded != (payments.Recorded{Digest: moving.Digest, InHistory: moving.InHistory()}) {
			t.Errorf("%v is recorded as %+v, want it as revised", moving, recorded)
		}
	}
}

func wantHistory(d *db, want ...string) {
	d.t.Helper()
	history := d.history("o1", "o2", "o3")
	var got []string
	for _, e := range history["o1"] {
		got = append(got, e.Key.EventID)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || len(history["o2"]) != 1 || len(history["o3"]) != 0 {
		d.t.Errorf("the history of o1 is %v, want %v; got %d events of o2 and %d of o3, want 1 and none", got, want, len(history["o2"]), len(history["o3"]))
	}
}
