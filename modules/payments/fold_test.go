package payments_test

import (
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// wantRecorded checks the verdicts that events are stored with, in pairs of an
// event's id and its outcome.
func (b *bench) wantRecorded(want map[string]*payrelayv1.Outcome) {
	b.t.Helper()
	for id, outcome := range want {
		got := b.store.recorded(id)
		if got.GetVerdict() != outcome.GetVerdict() || got.GetReason() != outcome.GetReason() {
			b.t.Errorf("event %s is recorded as %v, want %v", id, got, outcome)
		}
	}
}

func TestNewerUpdatesReadNoHistory(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderCreated, amount(100, "USD")), dispute("d1", 0, disputeOpen, amount(100, "USD")))
	b.apply(order("e2", 1, orderUpdated), dispute("d2", 2, disputeReview))
	b.apply(order("e3", 2, orderSuccess, amount(90, "USD")), order("e4", 3, orderFailed), dispute("d3", 3, disputeWon))
	if b.store.histories != 0 {
		t.Errorf("%d histories read, want none", b.store.histories)
	}
	b.apply(order("e0", 1, orderCreated))
	if b.store.histories != 1 {
		t.Errorf("%d histories read, want one for the late update", b.store.histories)
	}
}

// A batch that needs the history of many orders reads them all at once.
func TestLateUpdatesOfManyOrdersReadTheirHistoriesTogether(t *testing.T) {
	b := newBench(t)
	b.apply(order("a2", 5, orderUpdated, of("a")), order("b2", 5, orderUpdated, of("b")), order("c2", 5, orderUpdated, of("c")))
	b.apply(order("a1", 1, orderCreated, of("a")), order("c3", 6, orderSuccess, of("c")), order("b1", 1, orderCreated, of("b")))
	if b.store.histories != 1 || b.store.loads != 2 {
		t.Errorf("%d histories and %d loads, want 1 and 2", b.store.histories, b.store.loads)
	}
}

func TestALateUpdateThatChangesNothingIsStale(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderCreated), order("e3", 2, orderUpdated, user("u1")))
	wantOutcomes(t, b.apply(order("e2", 1, orderUpdated, user("u0"))), verdict(stale))
	if o := b.store.order("o1"); o.UserID != "u1" {
		t.Errorf("user %q: the late update won", o.UserID)
	}
	// It stays so whatever is folded again beside it.
	b.apply(order("e1b", 0, orderUpdated))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e2": verdict(stale)})
}

func TestALateUpdateThatChangesTheStateIsApplied(t *testing.T) {
	b := newBench(t)
	b.apply(order("e2", 1, orderUpdated))
	wantOutcomes(t, b.apply(order("e1", 0, orderCreated, user("u1"))), verdict(applied))
	o := b.store.order("o1")
	if o.Status != orderUpdated || o.UserID != "u1" || !o.CreatedAt.Equal(noon) || !o.UpdatedAt.Equal(at(1).AsTime()) {
		t.Errorf("order %+v", o)
	}
}

func TestALateUpdateThatTheHistoryContradictsIsDeadLettered(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderSuccess), order("e3", 2, orderSuccess))
	wantOutcomes(t, b.apply(order("e2", 1, orderUpdated)), refused(illegal))
	b.wantOpen(1)
}

// The fold may take back what was accepted, and accept what was refused.
func TestFlips(t *testing.T) {
	b := newBench(t)
	wantOutcomes(t, b.apply(order("e3", 3, orderFailed)), verdict(applied))
	wantOutcomes(t, b.apply(order("e2", 2, orderSuccess)), verdict(applied)) // e3 contradicts it now
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e2": verdict(applied), "e3": refused(illegal)})
	if o := b.store.order("o1"); o.Status != orderSuccess {
		t.Errorf("status %v, want success", o.Status)
	}
	b.wantOpen(1)

	wantOutcomes(t, b.apply(order("e1", 1, orderFailed)), verdict(applied)) // and e3 is right again
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e1": verdict(applied), "e2": refused(illegal), "e3": verdict(applied)})
	if o := b.store.order("o1"); o.Status != orderFailed {
		t.Errorf("status %v, want failed", o.Status)
	}
	b.wantOpen(1)
	b.wantSettled(payments.Reapplied)

	wantOutcomes(t, b.apply(order("e0", 0, orderSuccess)), verdict(applied))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e1": refused(illegal), "e2": verdict(applied), "e3": refused(illegal)})
	b.wantOpen(2)
	if len(b.store.letters) != 3 {
		t.Errorf("%d dead letters in all, want 3: one for each event that ever was one", len(b.store.letters))
	}
}

// What one update of a batch does to another is in the other's outcome.
func TestFlipsWithinABatch(t *testing.T) {
	b := newBench(t)
	got := b.apply(order("e3", 3, orderFailed), order("e2", 2, orderSuccess), order("e1", 1, orderFailed), order("e1", 1, orderFailed))
	wantOutcomes(t, got, verdict(applied), refused(illegal), verdict(applied), verdict(duplicate))
	b.wantOpen(1)
	if len(b.store.letters) != 1 {
		t.Errorf("%d dead letters, want 1: e3 was never stored as one", len(b.store.letters))
	}
}

// A refused update is the newest there is, too: what comes before it is late.
func TestARefusedUpdateIsPartOfTheHistory(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderSuccess), order("e3", 9, orderFailed))
	wantOutcomes(t, b.apply(order("e2", 5, orderSuccess, user("u1"))), verdict(applied))
	if b.store.histories != 1 {
		t.Error("the update was taken for the newest")
	}
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e3": refused(illegal)})
}

// Clocks of one second: the rank of the status decides, then the event's id.
func TestUpdatesOfOneInstant(t *testing.T) {
	for name, arrival := range map[string][]*payrelayv1.Update{
		"in order":  {order("z", 0, orderCreated), order("y", 0, orderUpdated), order("a", 0, orderSuccess), order("b", 0, orderFailed)},
		"reversed":  {order("b", 0, orderFailed), order("a", 0, orderSuccess), order("y", 0, orderUpdated), order("z", 0, orderCreated)},
		"the ends":  {order("b", 0, orderFailed), order("z", 0, orderCreated), order("a", 0, orderSuccess), order("y", 0, orderUpdated)},
		"the inner": {order("y", 0, orderUpdated), order("b", 0, orderFailed), order("a", 0, orderSuccess), order("z", 0, orderCreated)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for _, u := range arrival {
				b.apply(u)
			}
			if o := b.store.order("o1"); o.Status != orderSuccess {
				t.Errorf("status %v, want success: a comes before b", o.Status)
			}
			b.wantRecorded(map[string]*payrelayv1.Outcome{"b": refused(illegal)})
			b.wantOpen(1)
		})
	}
}

// Finer than a microsecond no store keeps a time, so it must not order either.
func TestNanosecondsDoNotOrder(t *testing.T) {
	nanos := func(n int32) change {
		return func(u *payrelayv1.Update) { u.OccurredAt = &timestamppb.Timestamp{Seconds: 1e9, Nanos: n} }
	}
	b := newBench(t)
	b.apply(order("a", 0, orderCreated, nanos(1999), user("u-a")))
	wantOutcomes(t, b.apply(order("b", 0, orderCreated, nanos(1001), user("u-b"))), verdict(applied))
	if o := b.store.order("o1"); o.UserID != "u-b" || b.store.histories != 0 {
		t.Errorf("user %q after %d histories, want u-b after none", o.UserID, b.store.histories)
	}
}

// Two providers may use one event id: the provider's name is the last resort.
func TestTwoProvidersWithOneEventIDAtOneInstant(t *testing.T) {
	one, two := order("e1", 0, orderSuccess, from("a"), user("of a")), order("e1", 0, orderFailed, from("b"), user("of b"))
	for name, arrival := range map[string][][]*payrelayv1.Update{
		"a, b":           {{one}, {two}},
		"b, a":           {{two}, {one}},
		"a with b":       {{one, two}},
		"b with a":       {{two, one}},
		"b, a, and more": {{two}, {one}, {order("e0", -1, orderCreated)}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for _, batch := range arrival {
				b.apply(batch...)
			}
			if o := b.store.order("o1"); o.Status != orderSuccess || o.UserID != "of a" {
				t.Errorf("order %+v, want the success of a", o)
			}
			if open := b.store.openLetters(); len(open) != 1 || open[0].Key.Provider != "b" {
				t.Errorf("open dead letters %+v, want b's", open)
			}
		})
	}
}

func TestADisputeMayComeBeforeItsOrder(t *testing.T) {
	b := newBench(t)
	b.apply(dispute("d1", 5, disputeOpen, disputeID("x")))
	if o := b.store.order("o1"); o != (payments.Order{ID: "o1"}) {
		t.Errorf("order %+v, want nothing but its id", o)
	}
	wantOutcomes(t, b.apply(order("e1", 0, orderCreated)), verdict(applied))
	d := b.store.dispute("x")
	if d.OrderID != "o1" || d.Status != disputeOpen || !d.OpenedAt.Equal(at(5).AsTime()) {
		t.Errorf("dispute %+v", d)
	}
	if b.store.histories != 0 {
		t.Error("an order that brings no currency reads the history of its disputes")
	}
}

// Each dispute has a history of its own: an order's end does not end them, nor
// does one dispute's end another.
func TestDisputesAreApart(t *testing.T) {
	b := newBench(t)
	got := b.apply(order("e1", 9, orderSuccess),
		dispute("x1", 2, disputeOpen, disputeID("x")), dispute("x2", 3, disputeWon, disputeID("x")),
		dispute("y1", 1, disputeOpen, disputeID("y")), dispute("z1", 1, disputeReview))
	wantOutcomes(t, got, verdict(applied), verdict(applied), verdict(applied), verdict(applied), verdict(applied))
	if b.store.dispute("x").Status != disputeWon || b.store.dispute("y").Status != disputeOpen {
		t.Errorf("x is %v, y is %v", b.store.dispute("x").Status, b.store.dispute("y").Status)
	}
	if d := b.store.dispute("o1"); d.Status != disputeReview || d.OrderID != "o1" {
		t.Errorf("a dispute without an id must go by its order's: %+v", d)
	}
}

// The currency of an order judges its disputes, whenever it becomes known.
func TestCurrencyDiscoveredLate(t *testing.T) {
	b := newBench(t)
	b.apply(order("e2", 2, orderUpdated),
		dispute("x1", 0, disputeOpen, disputeID("x"), amount(5, "EUR")), dispute("x2", 1, disputeWon, disputeID("x")),
		dispute("y1", 0, disputeOpen, disputeID("y"), amount(5, "USD")))
	wantOutcomes(t, b.apply(order("e1", 1, orderCreated, amount(5, "USD"))), verdict(applied))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"x1": refused(currencyMismatch), "x2": verdict(applied), "y1": verdict(applied)})
	if d := b.store.dispute("x"); d.Amount != (payments.Money{}) || d.Status != disputeWon {
		t.Errorf("dispute %+v: it still has the refused money", d)
	}

	// Earlier still, the order was in EUR: so its USD was wrong, and y with it.
	wantOutcomes(t, b.apply(order("e0", 0, orderCreated, amount(5, "EUR"))), verdict(applied))
	b.wantRecorded(map[string]*payrelayv1.Outcome{
		"e1": refused(currencyMismatch), "x1": verdict(applied), "y1": refused(currencyMismatch),
	})
	b.wantOpen(2)
	if d := b.store.dispute("y"); d.Status != disputeNone || d.OrderID != "o1" {
		t.Errorf("dispute %+v, none of whose updates counts", d)
	}
}

// The same within one batch, for an order that nobody knew before.
func TestCurrencyDiscoveredWithinABatch(t *testing.T) {
	b := newBench(t)
	got := b.apply(dispute("x1", 0, disputeOpen, amount(5, "EUR")), order("e1", 5, orderCreated, amount(5, "USD")),
		dispute("x2", 1, disputeOpen, amount(5, "USD")))
	wantOutcomes(t, got, refused(currencyMismatch), verdict(applied), verdict(applied))
	if b.store.histories != 0 {
		t.Errorf("%d histories of a new order were read", b.store.histories)
	}
}

func TestADisputeBelongsToTheFirstOrderThatNamesIt(t *testing.T) {
	b := newBench(t)
	got := b.apply(dispute("a1", 0, disputeOpen, of("a"), disputeID("x")), dispute("b1", -9, disputeOpen, of("b"), disputeID("x")))
	wantOutcomes(t, got, verdict(applied), refused(orderMismatch))
	wantOutcomes(t, b.apply(dispute("b2", 9, disputeWon, of("b"), disputeID("x"))), refused(orderMismatch))
	if d := b.store.dispute("x"); d.OrderID != "a" || d.Status != disputeOpen {
		t.Errorf("dispute %+v", d)
	}
	if b.store.orders["b"] != nil {
		t.Error("order b exists, and nothing is known of it")
	}
}

// An update that cannot be judged must not take the dispute for its order.
func TestAnUnfitUpdateOwnsNoDispute(t *testing.T) {
	b := newBench(t)
	tomorrow := 48 * 3600
	b.apply(dispute("a1", tomorrow, disputeOpen, of("a"), disputeID("x")), dispute("a2", 0, disputeNone, of("a"), disputeID("x"), providerStatus("?")))
	wantOutcomes(t, b.apply(dispute("b1", 0, disputeOpen, of("b"), disputeID("x"))), verdict(applied))
}
