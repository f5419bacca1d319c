package payments_test

import (
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// wantRecorded checks the verdicts that are stored with events, by event id.
func (b *bench) wantRecorded(want map[string]*payrelayv1.Outcome) {
	b.t.Helper()
	for id, outcome := range want {
		got := b.store.recorded(id)
		if got.GetVerdict() != outcome.GetVerdict() || got.GetReason() != outcome.GetReason() {
			b.t.Errorf("recorded outcome of event %s = %v, want %v", id, got, outcome)
		}
	}
}

func TestNewerUpdatesReadNoHistory(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderCreated, amount(100, "USD")), dispute("d1", 0, disputeOpen, amount(100, "USD")))
	b.apply(order("e2", 1, orderUpdated), dispute("d2", 2, disputeReview))
	b.apply(order("e3", 2, orderSuccess, amount(90, "USD")), order("e4", 3, orderFailed), dispute("d3", 3, disputeWon))
	if b.store.histories != 0 {
		t.Errorf("%d histories were read, want 0", b.store.histories)
	}
	b.apply(order("e0", 1, orderCreated))
	if b.store.histories != 1 {
		t.Errorf("%d histories were read, want 1 for the late update", b.store.histories)
	}
}

// A batch that needs the histories of several orders reads them in one call.
func TestLateUpdatesOfManyOrdersReadTheirHistoriesTogether(t *testing.T) {
	b := newBench(t)
	b.apply(order("a2", 5, orderUpdated, of("a")), order("b2", 5, orderUpdated, of("b")), order("c2", 5, orderUpdated, of("c")))
	b.apply(order("a1", 1, orderCreated, of("a")), order("c3", 6, orderSuccess, of("c")), order("b1", 1, orderCreated, of("b")))
	if b.store.histories != 1 || b.store.loads != 2 {
		t.Errorf("%d calls of History and %d of Load, want 1 and 2", b.store.histories, b.store.loads)
	}
}

func TestALateUpdateThatChangesNothingIsStale(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderCreated), order("e3", 2, orderUpdated, user("u1")))
	wantOutcomes(t, b.apply(order("e2", 1, orderUpdated, user("u0"))), verdict(stale))
	if o := b.store.order("o1"); o.UserID != "u1" {
		t.Errorf("user = %q, want u1 of the newer update", o.UserID)
	}
	// It stays STALE when its history is folded again.
	b.apply(order("e1b", 0, orderUpdated))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e2": verdict(stale)})
}

func TestALateUpdateThatChangesTheStateIsApplied(t *testing.T) {
	b := newBench(t)
	b.apply(order("e2", 1, orderUpdated))
	wantOutcomes(t, b.apply(order("e1", 0, orderCreated, user("u1"))), verdict(applied))
	o := b.store.order("o1")
	if o.Status != orderUpdated || o.UserID != "u1" || !o.CreatedAt.Equal(noon) || !o.UpdatedAt.Equal(at(1).AsTime()) {
		t.Errorf("order = %+v, want status UPDATED, user u1 and the times of e1 and e2", o)
	}
}

func TestALateUpdateThatTheHistoryContradictsIsDeadLettered(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderSuccess), order("e3", 2, orderSuccess))
	wantOutcomes(t, b.apply(order("e2", 1, orderUpdated)), refused(illegal))
	b.wantOpen(1)
}

// A late update can make an applied update illegal, and a refused one legal.
func TestLateUpdatesReviseVerdicts(t *testing.T) {
	b := newBench(t)
	wantOutcomes(t, b.apply(order("e3", 3, orderFailed)), verdict(applied))
	wantOutcomes(t, b.apply(order("e2", 2, orderSuccess)), verdict(applied)) // now e3 is illegal
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e2": verdict(applied), "e3": refused(illegal)})
	if o := b.store.order("o1"); o.Status != orderSuccess {
		t.Errorf("status = %v, want SUCCESS", o.Status)
	}
	b.wantOpen(1)

	wantOutcomes(t, b.apply(order("e1", 1, orderFailed)), verdict(applied)) // now e3 is legal again
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e1": verdict(applied), "e2": refused(illegal), "e3": verdict(applied)})
	if o := b.store.order("o1"); o.Status != orderFailed {
		t.Errorf("status = %v, want FAILED", o.Status)
	}
	b.wantOpen(1)
	b.wantSettled(payments.Reapplied)

	wantOutcomes(t, b.apply(order("e0", 0, orderSuccess)), verdict(applied))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e1": refused(illegal), "e2": verdict(applied), "e3": refused(illegal)})
	b.wantOpen(2)
	if len(b.store.letters) != 3 {
		t.Errorf("%d dead letters, want 3: one for each event that was ever refused", len(b.store.letters))
	}
}

// The outcomes of a batch contain the revisions by later updates of the same batch.
func TestUpdatesOfABatchReviseEachOther(t *testing.T) {
	b := newBench(t)
	got := b.apply(order("e3", 3, orderFailed), order("e2", 2, orderSuccess), order("e1", 1, orderFailed), order("e1", 1, orderFailed))
	wantOutcomes(t, got, verdict(applied), refused(illegal), verdict(applied), verdict(duplicate))
	b.wantOpen(1)
	if len(b.store.letters) != 1 {
		t.Errorf("%d dead letters, want 1, for e2", len(b.store.letters))
	}
}

// A refused update can be the newest one. An update before it is late.
func TestARefusedUpdateIsPartOfTheHistory(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderSuccess), order("e3", 9, orderFailed))
	wantOutcomes(t, b.apply(order("e2", 5, orderSuccess, user("u1"))), verdict(applied))
	if b.store.histories != 1 {
		t.Errorf("%d histories were read, want 1 for the late update", b.store.histories)
	}
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e3": refused(illegal)})
}

// Some providers' clocks count seconds. Updates of the same time are ordered by the
// rank of the status, and then by the event id.
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
				t.Errorf("status = %v, want SUCCESS, because a comes before b", o.Status)
			}
			b.wantRecorded(map[string]*payrelayv1.Outcome{"b": refused(illegal)})
			b.wantOpen(1)
		})
	}
}

// Stores keep microseconds, so nanoseconds must not determine the order.
func TestNanosecondsDoNotOrder(t *testing.T) {
	nanos := func(n int32) change {
		return func(u *payrelayv1.Update) { u.OccurredAt = &timestamppb.Timestamp{Seconds: 1e9, Nanos: n} }
	}
	b := newBench(t)
	b.apply(order("a", 0, orderCreated, nanos(1999), user("u-a")))
	wantOutcomes(t, b.apply(order("b", 0, orderCreated, nanos(1001), user("u-b"))), verdict(applied))
	if o := b.store.order("o1"); o.UserID != "u-b" || b.store.histories != 0 {
		t.Errorf("user = %q after %d histories, want u-b after 0", o.UserID, b.store.histories)
	}
}

// Updates of two providers can have the same time, rank and event id. They are ordered
// by the name of the provider.
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
				t.Errorf("order = %+v, want the success of provider a", o)
			}
			if open := b.store.openLetters(); len(open) != 1 || open[0].Key.Provider != "b" {
				t.Errorf("open dead letters = %+v, want that of provider b", open)
			}
		})
	}
}

func TestADisputeMayComeBeforeItsOrder(t *testing.T) {
	b := newBench(t)
	b.apply(dispute("d1", 5, disputeOpen, disputeID("x")))
	if o := b.store.order("o1"); o != (payments.Order{ID: "o1"}) {
		t.Errorf("order = %+v, want only an id", o)
	}
	wantOutcomes(t, b.apply(order("e1", 0, orderCreated)), verdict(applied))
	d := b.store.dispute("x")
	if d.OrderID != "o1" || d.Status != disputeOpen || !d.OpenedAt.Equal(at(5).AsTime()) {
		t.Errorf("dispute = %+v, want one of o1, opened at d1", d)
	}
	if b.store.histories != 0 {
		t.Error("an order without a currency reads the history of its disputes")
	}
}

// Each dispute has its own history: it does not end with its order or with another
// dispute.
func TestDisputesAreIndependent(t *testing.T) {
	b := newBench(t)
	got := b.apply(order("e1", 9, orderSuccess),
		dispute("x1", 2, disputeOpen, disputeID("x")), dispute("x2", 3, disputeWon, disputeID("x")),
		dispute("y1", 1, disputeOpen, disputeID("y")), dispute("z1", 1, disputeReview))
	wantOutcomes(t, got, verdict(applied), verdict(applied), verdict(applied), verdict(applied), verdict(applied))
	if b.store.dispute("x").Status != disputeWon || b.store.dispute("y").Status != disputeOpen {
		t.Errorf("statuses of x and y = %v and %v, want WON and OPEN", b.store.dispute("x").Status, b.store.dispute("y").Status)
	}
	if d := b.store.dispute("o1"); d.Status != disputeReview || d.OrderID != "o1" {
		t.Errorf("dispute o1 = %+v, want the one without an id", d)
	}
}

// Disputes must be in the currency of their order, even if that becomes known later.
func TestCurrencyDiscoveredLate(t *testing.T) {
	b := newBench(t)
	b.apply(order("e2", 2, orderUpdated),
		dispute("x1", 0, disputeOpen, disputeID("x"), amount(5, "EUR")), dispute("x2", 1, disputeWon, disputeID("x")),
		dispute("y1", 0, disputeOpen, disputeID("y"), amount(5, "USD")))
	wantOutcomes(t, b.apply(order("e1", 1, orderCreated, amount(5, "USD"))), verdict(applied))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"x1": refused(currencyMismatch), "x2": verdict(applied), "y1": verdict(applied)})
	if d := b.store.dispute("x"); d.Amount != (payments.Money{}) || d.Status != disputeWon {
		t.Errorf("dispute = %+v, want WON without the refused amount", d)
	}

	// An earlier update of the order is in EUR, so its USD and y are refused.
	wantOutcomes(t, b.apply(order("e0", 0, orderCreated, amount(5, "EUR"))), verdict(applied))
	b.wantRecorded(map[string]*payrelayv1.Outcome{
		"e1": refused(currencyMismatch), "x1": verdict(applied), "y1": refused(currencyMismatch),
	})
	b.wantOpen(2)
	if d := b.store.dispute("y"); d.Status != disputeNone || d.OrderID != "o1" {
		t.Errorf("dispute = %+v, want only ids, because its updates are refused", d)
	}
}

// The same within one batch, for a new order.
func TestCurrencyDiscoveredWithinABatch(t *testing.T) {
	b := newBench(t)
	got := b.apply(dispute("x1", 0, disputeOpen, amount(5, "EUR")), order("e1", 5, orderCreated, amount(5, "USD")),
		dispute("x2", 1, disputeOpen, amount(5, "USD")))
	wantOutcomes(t, got, refused(currencyMismatch), verdict(applied), verdict(applied))
	if b.store.histories != 0 {
		t.Errorf("%d histories of a new order were read, want 0", b.store.histories)
	}
}

func TestADisputeBelongsToTheFirstOrderThatNamesIt(t *testing.T) {
	b := newBench(t)
	got := b.apply(dispute("a1", 0, disputeOpen, of("a"), disputeID("x")), dispute("b1", -9, disputeOpen, of("b"), disputeID("x")))
	wantOutcomes(t, got, verdict(applied), refused(orderMismatch))
	wantOutcomes(t, b.apply(dispute("b2", 9, disputeWon, of("b"), disputeID("x"))), refused(orderMismatch))
	if d := b.store.dispute("x"); d.OrderID != "a" || d.Status != disputeOpen {
		t.Errorf("dispute = %+v, want one of order a, OPEN", d)
	}
	if b.store.orders["b"] != nil {
		t.Error("order b exists, want none for a refused dispute")
	}
}

// An update that takes part in no history does not decide whose dispute it is.
func TestARefusedUpdateOwnsNoDispute(t *testing.T) {
	b := newBench(t)
	tomorrow := 48 * 3600
	b.apply(dispute("a1", tomorrow, disputeOpen, of("a"), disputeID("x")), dispute("a2", 0, disputeNone, of("a"), disputeID("x"), providerStatus("?")))
	wantOutcomes(t, b.apply(dispute("b1", 0, disputeOpen, of("b"), disputeID("x"))), verdict(applied))
}
