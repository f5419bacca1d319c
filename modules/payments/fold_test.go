package payments_test

import (
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestNewerUpdatesReadNoHistory(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderCreated, amount(100, "USD")), dispute("d1", 0, disputeOpen, amount(100, "USD")))
	b.apply(order("e2", 1, orderUpdated), dispute("d2", 2, disputeReview))
	b.apply(order("e3", 2, orderSuccess, amount(90, "USD")), order("e4", 3, orderFailed), dispute("d3", 3, disputeWon))
	if b.store.histories != 0 {
		t.Errorf("%d histories read, want none", b.store.histories)
	}
	b.apply(order("e0", 1, orderCreated))
	b.apply(dispute("d0", 1, disputeOpen))
	if b.store.histories != 2 {
		t.Errorf("%d histories read, want one for each late update", b.store.histories)
	}
}

// A batch that needs the history of many orders and disputes reads them all at once.
func TestLateUpdatesReadTheirHistoriesTogether(t *testing.T) {
	b := newFixture(t)
	b.apply(order("a2", 5, orderUpdated, of("a")), dispute("b2", 5, disputeOpen, of("b")), order("c2", 5, orderUpdated, of("c")), order("d2", 5, orderUpdated, of("d")))
	b.apply(order("a1", 1, orderCreated, of("a")), order("c3", 6, orderSuccess, of("c")), dispute("b1", 1, disputeOpen, of("b")), order("d1", 1, orderCreated, of("d")))
	if b.store.histories != 1 || b.store.loads != 2 {
		t.Errorf("%d histories and %d loads, want 1 and 2", b.store.histories, b.store.loads)
	}
}

func TestALateUpdateThatChangesNothingIsStale(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderCreated), order("e3", 2, orderUpdated, user("u1")))
	wantOutcomes(t, b.apply(order("e2", 1, orderUpdated, user("u0"))), verdict(stale))
	if o := b.store.order("o1"); o.UserID != "u1" {
		t.Errorf("user %q: the late update won", o.UserID)
	}
	// It stays stale when the history is folded again.
	b.apply(order("e1b", 0, orderUpdated))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e2": verdict(stale)})
}

func TestALateUpdateThatChangesTheStateIsApplied(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e2", 1, orderUpdated))
	wantOutcomes(t, b.apply(order("e1", 0, orderCreated, user("u1"))), verdict(applied))
	o := b.store.order("o1")
	if o.Status != orderUpdated || o.UserID != "u1" || !o.CreatedAt.Equal(noon) || !o.UpdatedAt.Equal(at(1).AsTime()) {
		t.Errorf("order %+v", o)
	}
}

func TestALateUpdateThatTheHistoryContradictsIsDeadLettered(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess), order("e3", 2, orderSuccess))
	wantOutcomes(t, b.apply(order("e2", 1, orderFailed)), refused(contradiction))
	b.wantOpen(1)
}

// A late update can make an applied one illegal, and a refused one legal.
func TestFlips(t *testing.T) {
	b := newFixture(t)
	wantOutcomes(t, b.apply(order("e30", 30, orderFailed)), verdict(applied))
	wantOutcomes(t, b.apply(order("e10", 10, orderSuccess)), verdict(applied)) // e30 contradicts it
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e10": verdict(applied), "e30": refused(contradiction)})
	b.wantOrder(orderSuccess)
	b.wantOpen(1)

	wantOutcomes(t, b.apply(order("e20", 20, orderReversed)), verdict(applied)) // e30 is legal again
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e10": verdict(applied), "e20": verdict(applied), "e30": verdict(applied)})
	b.wantOrder(orderReversed)
	b.wantOpen(0)
	b.wantSettled(payments.Reapplied)

	wantOutcomes(t, b.apply(order("e25", 25, orderSuccess)), verdict(applied))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e25": verdict(applied), "e30": refused(contradiction)})
	b.wantOrder(orderSuccess)
	b.wantOpen(1)
	if len(b.store.letters) != 1 {
		t.Errorf("%d dead letters in all, want 1: the same one is opened again", len(b.store.letters))
	}
}

// The outcomes of a batch include the effect of its updates on each other.
func TestFlipsWithinABatch(t *testing.T) {
	b := newFixture(t)
	failed, paid, undone := order("e30", 30, orderFailed), order("e10", 10, orderSuccess), order("e20", 20, orderReversed)
	wantOutcomes(t, b.apply(failed, paid, undone, undone), verdict(applied), verdict(applied), verdict(applied), verdict(duplicate))
	if len(b.store.letters) != 0 {
		t.Errorf("%d dead letters, want none: e30 was never stored as one", len(b.store.letters))
	}

	b = newFixture(t)
	got := b.apply(failed, paid, undone, order("e25", 25, orderSuccess), paid)
	wantOutcomes(t, got, refused(contradiction), verdict(applied), verdict(applied), verdict(applied), verdict(duplicate))
	b.wantOpen(1)
}

// A refused update can be the newest of its history. An update before it is late.
func TestARefusedUpdateIsPartOfTheHistory(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess), order("e3", 9, orderFailed))
	wantOutcomes(t, b.apply(order("e2", 5, orderSuccess, user("u1"))), verdict(applied))
	if b.store.histories != 1 {
		t.Error("the update was judged as the newest")
	}
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e3": refused(contradiction)})
}

// If clocks have a precision of one second, the rank of the status decides.
func TestUpdatesOfOneInstant(t *testing.T) {
	all := []*payrelayv1.Update{
		order("z", 0, orderCreated), order("y", 0, orderUpdated), order("a", 0, orderSuccess), order("b", 0, orderFailed),
	}
	permutations(len(all), func(places []int) {
		b := newFixture(t)
		for _, at := range places {
			b.apply(all[at])
		}
		b.wantOrder(orderSuccess)
		b.wantOpen(0)
		if t.Failed() {
			t.Fatalf("arrival %v", places)
		}
	})
}

// Stores keep microseconds, so finer digits must not affect the order.
func TestNanosecondsDoNotOrder(t *testing.T) {
	nanos := func(n int32) change {
		return func(u *payrelayv1.Update) { u.OccurredAt = &timestamppb.Timestamp{Seconds: 1e9, Nanos: n} }
	}
	b := newFixture(t)
	b.apply(order("a", 0, orderCreated, nanos(1999), user("u-a")))
	wantOutcomes(t, b.apply(order("b", 0, orderCreated, nanos(1001), user("u-b"))), verdict(applied))
	if o := b.store.order("o1"); o.UserID != "u-b" || b.store.histories != 0 {
		t.Errorf("user %q after %d histories, want u-b after none", o.UserID, b.store.histories)
	}
}

// If two sources use the same event id, the name of the source decides last.
func TestTwoSourcesWithOneEventIDAtOneInstant(t *testing.T) {
	one, two := order("e1", 0, orderSuccess, from("a"), user("of a")), order("e1", 0, orderSuccess, from("b"), user("of b"))
	for name, arrival := range map[string][][]*payrelayv1.Update{
		"a, b":           {{one}, {two}},
		"b, a":           {{two}, {one}},
		"a with b":       {{one, two}},
		"b with a":       {{two, one}},
		"b, a, and more": {{two}, {one}, {order("e0", -1, orderCreated)}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			for _, batch := range arrival {
				b.apply(batch...)
			}
			if o := b.store.order("o1"); o.UserID != "of b" {
				t.Errorf("order %+v, want that of b as the later", o)
			}
			b.wantOpen(0)
		})
	}
}

// An order and a dispute with the same event id do not collide.
func TestAnOrderAndADisputeWithOneEventID(t *testing.T) {
	b := newFixture(t)
	wantOutcomes(t, b.apply(order("e1", 0, orderSuccess), dispute("e1", 0, disputeOpen), note("e1", 0, "comment")),
		verdict(applied), verdict(applied), verdict(applied))
	if len(b.store.events) != 3 {
		t.Errorf("%d events, want 3", len(b.store.events))
	}
}

func TestADisputeMayComeBeforeItsOrder(t *testing.T) {
	b := newFixture(t)
	b.apply(dispute("d1", 5, disputeOpen, disputeID("x")))
	if len(b.store.orders) != 0 {
		t.Errorf("orders %+v, want none", b.store.orders)
	}
	wantOutcomes(t, b.apply(order("e1", 0, orderCreated)), verdict(applied))
	d := b.store.dispute("x")
	if d.OrderID != "o1" || d.Status != disputeOpen || !d.OpenedAt.Equal(at(5).AsTime()) {
		t.Errorf("dispute %+v", d)
	}
	if b.store.histories != 0 {
		t.Error("an order reads the history of its disputes")
	}
}

// A dispute does not change with its order or with another dispute.
func TestDisputesAreApart(t *testing.T) {
	b := newFixture(t)
	got := b.apply(order("e1", 9, orderSuccess),
		dispute("x1", 2, disputeOpen, disputeID("x")), dispute("x2", 3, disputeWon, disputeID("x")),
		dispute("y1", 1, disputeOpen, disputeID("y")), dispute("z1", 1, disputeReview))
	wantOutcomes(t, got, verdict(applied), verdict(applied), verdict(applied), verdict(applied), verdict(applied))
	if b.store.dispute("x").Status != disputeWon || b.store.dispute("y").Status != disputeOpen {
		t.Errorf("x is %v, y is %v", b.store.dispute("x").Status, b.store.dispute("y").Status)
	}
	if d := b.store.dispute("o1"); d.Status != disputeReview || d.OrderID != "o1" {
		t.Errorf("a dispute without an id must have the id of its order: %+v", d)
	}
	// Two sources can have disputes with the same id.
	b.apply(dispute("x3", 1, disputeLost, disputeID("x"), of("o2"), from("other")))
	other := b.store.disputes[payments.DisputeKey{Source: "other", ID: "x"}].State
	if b.store.dispute("x").Status != disputeWon || other.Status != disputeLost || other.OrderID != "o2" {
		t.Errorf("x is %v, and that of another source %+v", b.store.dispute("x").Status, other)
	}
}

// A dispute may have another currency than its order, in both orders of arrival.
func TestADisputeMayHaveAnotherCurrencyThanItsOrder(t *testing.T) {
	for _, arrival := range [][]int{{0, 1}, {1, 0}} {
		updates := []*payrelayv1.Update{order("e1", 0, orderSuccess, amount(50, "EUR")), dispute("x1", 1, disputeOpen, amount(55, "USD"))}
		b := newFixture(t)
		for _, i := range arrival {
			wantOutcomes(t, b.apply(updates[i]), verdict(applied))
		}
		if d := b.store.dispute("o1"); d.Amount != (payments.Money{MinorUnits: 55, Currency: "USD"}) || d.Status != disputeOpen {
			t.Errorf("dispute %+v", d)
		}
		b.wantOpen(0)
	}
}

// The captured currency applies to later amounts, even if it becomes known after them.
func TestCurrencyDiscoveredLate(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e2", 2, orderUpdated, amount(5, "EUR")))
	wantOutcomes(t, b.apply(order("e1", 1, orderSuccess, amount(5, "USD"))), verdict(applied))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e2": refused(currencyMismatch)})
	if o := b.store.order("o1"); o.Amount != (payments.Money{MinorUnits: 5, Currency: "USD"}) {
		t.Errorf("order %+v, want the amount of e1", o)
	}

	// A capture of EUR before e1 makes e1 illegal and e2 legal.
	wantOutcomes(t, b.apply(order("e0", 0, orderSuccess, amount(5, "EUR"))), verdict(applied))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e1": refused(currencyMismatch), "e2": verdict(applied)})
	b.wantOpen(1)
	b.wantSettled(payments.Reapplied)
}

// The oldest update that names a dispute decides which order it belongs to.
func TestADisputeBelongsToTheOrderOfItsOldestUpdate(t *testing.T) {
	b := newFixture(t)
	got := b.apply(dispute("a1", 0, disputeOpen, of("a"), disputeID("x")), dispute("b1", -9, disputeOpen, of("b"), disputeID("x")))
	wantOutcomes(t, got, refused(orderMismatch), verdict(applied))
	wantOutcomes(t, b.apply(dispute("b2", 9, disputeWon, of("b"), disputeID("x"))), verdict(applied))
	if d := b.store.dispute("x"); d.OrderID != "b" || d.Status != disputeWon {
		t.Errorf("dispute %+v", d)
	}
	wantOutcomes(t, b.apply(dispute("a0", -20, disputeOpen, of("a"), disputeID("x"))), verdict(applied))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"a1": verdict(applied), "b1": refused(orderMismatch), "b2": refused(orderMismatch)})
	if d := b.store.dispute("x"); d.OrderID != "a" || d.Status != disputeOpen {
		t.Errorf("dispute %+v", d)
	}
	b.wantOpen(2)
}

// An update that cannot be judged does not determine the order of a dispute.
func TestAnUnfitUpdateOwnsNoDispute(t *testing.T) {
	b := newFixture(t)
	b.apply(dispute("a1", 0, disputeOpen, of("a"), disputeID("x"), ahead(48)), dispute("a2", 0, disputeNone, of("a"), disputeID("x"), providerStatus("?")))
	wantOutcomes(t, b.apply(dispute("b1", 0, disputeOpen, of("b"), disputeID("x"))), verdict(applied))
}
