package payments_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// letterOf returns the dead letter of an order's event from the source "generic", or
// nil if there is none.
func (b *fixture) letterOf(eventID string) *payments.DeadLetter {
	for _, letter := range b.store.letters {
		if letter.Key == orderKey(eventID) {
			return letter
		}
	}
	return nil
}

// An accepted update takes effect at its own position in the history, regardless of
// what else arrives and of when it is accepted.
func TestAnAcceptedContradictionTakesEffectAtItsOwnPlace(t *testing.T) {
	updates := []*payrelayv1.Update{
		order("e0", 0, orderCreated, amount(100, "USD")), order("e1", 10, orderSuccess), order("e2", 20, orderCanceled, user("u2")),
		order("e3", 30, orderUpdated, user("u3")), order("e4", 40, orderFailed), order("e15", 15, orderSuccess, amount(90, "USD")),
	}
	permutations(len(updates), func(places []int) {
		for _, atOnce := range []bool{true, false} {
			b := newFixture(t)
			accept := func() {
				if letter := b.letterOf("e2"); letter != nil && letter.Resolution == "" {
					wantOutcomes(t, []*payrelayv1.Outcome{b.accept(letter.ID)}, verdict(applied))
				}
			}
			for _, at := range places {
				b.apply(updates[at])
				if atOnce {
					accept()
				}
			}
			accept()
			for id := range len(b.store.sequence) {
				if letter, _ := b.store.DeadLetter(t.Context(), int64(id+1)); letter.Resolution == payments.Reapplied {
					wantOutcomes(t, []*payrelayv1.Outcome{b.replay(letter.ID)}, verdict(applied))
				}
			}
			o := b.store.order("o1")
			if o.Status != orderCanceled || o.UserID != "u3" || o.Amount != (payments.Money{MinorUnits: 90, Currency: "USD"}) {
				t.Errorf("order %+v, want canceled", o)
			}
			b.wantOpen(0)
			letter := b.letterOf("e2")
			if letter.Resolution != payments.Accepted || letter.By != "ann" || letter.Why != "the bank says so" || !letter.ResolvedAt.Equal(b.now) {
				t.Errorf("dead letter %+v", letter)
			}
			if e := b.store.events[orderKey("e2")]; !e.Forced || e.Verdict != applied || e.Reason != noReason || !e.InHistory() {
				t.Errorf("event %+v", e)
			}
			wantHeads(t, b.store)
			if t.Failed() {
				t.Fatalf("arrival %v, accepted at once: %v", places, atOnce)
			}
		}
	})
}

func TestAcceptOfEveryContradiction(t *testing.T) {
	usd := func(n int64) payments.Money { return payments.Money{MinorUnits: n, Currency: "USD"} }
	for name, test := range map[string]struct {
		updates []*payrelayv1.Update
		refused payrelayv1.DeadLetterReason
		check   func(b *fixture) bool
	}{
		"an order that failed": {
			[]*payrelayv1.Update{order("e1", 0, orderSuccess), order("e2", 1, orderFailed)}, contradiction,
			func(b *fixture) bool { return b.store.order("o1").Status == orderFailed },
		},
		"another currency": {
			[]*payrelayv1.Update{order("e1", 0, orderSuccess, amount(7, "EUR")), order("e2", 1, orderSuccess, amount(9, "USD"), captured(9, "USD"))}, currencyMismatch,
			func(b *fixture) bool {
				o := b.store.order("o1")
				return o.Amount == usd(9) && o.Totals().Captured == usd(9)
			},
		},
		"an outcome of the same instant": {
			[]*payrelayv1.Update{dispute("e1", 0, disputeLost), dispute("e2", 0, disputeWon)}, contradiction,
			func(b *fixture) bool { return b.store.dispute("o1").Status == disputeWon },
		},
		"an outcome of a lower stage": {
			[]*payrelayv1.Update{dispute("e1", 0, disputeLost, stage(3)), dispute("e2", 1, disputeWon, stage(2))}, contradiction,
			func(b *fixture) bool { d := b.store.dispute("o1"); return d.Status == disputeWon && d.Stage == 3 },
		},
		"another order": {
			[]*payrelayv1.Update{dispute("e1", 0, disputeOpen, disputeID("x")), dispute("e2", 1, disputeLost, disputeID("x"), of("o2"), amount(5, "USD"))}, orderMismatch,
			func(b *fixture) bool {
				d := b.store.dispute("x")
				return d.Status == disputeLost && d.OrderID == "o1" && d.Amount == usd(5)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			wantOutcomes(t, b.apply(test.updates...)[1:], refused(test.refused))
			wantOutcomes(t, []*payrelayv1.Outcome{b.accept(1)}, verdict(applied))
			b.wantSettled(payments.Accepted)
			b.wantRecorded(map[string]*payrelayv1.Outcome{"e1": verdict(applied), "e2": verdict(applied)})
			if !test.check(b) {
				t.Errorf("orders %+v, disputes %+v", b.store.orders, b.store.disputes)
			}
			wantHeads(t, b.store)
		})
	}
}

// A dead letter that becomes legal because another one is accepted is settled as
// reapplied, without an operator.
func TestAcceptMakesOthersLegal(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 10, orderSuccess, amount(5, "USD")), order("e2", 20, orderReversed, amount(5, "EUR")), order("e3", 30, orderFailed))
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e2": refused(currencyMismatch), "e3": refused(contradiction)})
	b.accept(1)
	b.wantRecorded(map[string]*payrelayv1.Outcome{"e2": verdict(applied), "e3": verdict(applied)})
	b.wantOrder(orderReversed)
	if letter := b.letterOf("e2"); letter.Resolution != payments.Accepted || letter.By != "ann" {
		t.Errorf("dead letter %+v, want it accepted by ann", letter)
	}
	if letter := b.letterOf("e3"); letter.Resolution != payments.Reapplied || letter.By != "" || letter.Why != "" {
		t.Errorf("dead letter %+v, want it reapplied", letter)
	}
	if b.store.events[orderKey("e3")].Forced {
		t.Error("the reapplied event is marked as forced")
	}
}

// An accepted conflict becomes a second event.
func TestAnAcceptedConflictIsAnEventOfItsOwn(t *testing.T) {
	b := newFixture(t)
	second := order("e1", 0, orderSuccess, amount(1200, "USD"), body("second"))
	b.apply(order("e1", 0, orderSuccess, amount(1000, "USD")), second)
	b.apply(order("e9", 9, orderUpdated)) // so that the accepted one is late
	b.store.beforeCommit = func() error { b.store.beforeCommit = nil; return payments.ErrRaced }
	wantOutcomes(t, []*payrelayv1.Outcome{b.accept(1)}, verdict(applied))
	b.wantSettled(payments.Accepted)
	b.wantOpen(0)
	if o := b.store.order("o1"); o.Amount.MinorUnits != 1200 || o.Totals().Captured.MinorUnits != 1200 {
		t.Errorf("order %+v, want the amount of the accepted update", o)
	}
	facts := payments.FactsDigest(second)
	key := orderKey(fmt.Sprintf("e1#%x", facts[:8]))
	e := b.store.events[key]
	if len(b.store.events) != 3 || e == nil || !e.Forced || e.Facts != facts || string(e.Update.GetRawBody()) != "second" {
		t.Fatalf("events %v, want the second beside the first", b.store.events)
	}

	// Later folds include it.
	b.apply(order("e5", 5, orderSuccess, amount(1100, "USD")), order("e0", -1, orderCreated))
	if o := b.store.order("o1"); o.Amount.MinorUnits != 1100 || o.Totals().Captured.MinorUnits != 1200 {
		t.Errorf("order %+v", o)
	}
	// Both are known, and the dead letter stays settled.
	b.now = b.now.Add(5e9)
	wantOutcomes(t, b.apply(order("e1", 0, orderSuccess, amount(1000, "USD")), second), verdict(duplicate), refused(conflict))
	b.wantOpen(0)
	if letter := b.letterOf("e1"); letter.Deliveries != 2 || !letter.LastAt.Equal(b.now) || letter.Resolution != payments.Accepted {
		t.Errorf("dead letter %+v", letter)
	}
}

func TestAnAcceptedConflictKeepsTheLimitOfIDs(t *testing.T) {
	b := newFixture(t)
	id := strings.Repeat("é", 120) + "0123456789abcde" // 255 bytes, and the cut is in a rune
	b.apply(order(id, 0, orderCreated), order(id, 0, orderCreated, amount(1, "USD")))
	b.accept(1)
	var ids []string
	for key := range b.store.events {
		ids = append(ids, key.EventID)
	}
	slices.Sort(ids)
	if len(ids) != 2 || !strings.HasPrefix(ids[0], strings.Repeat("é", 119)+"#") || len(ids[0]) != 238+17 || ids[1] != id {
		t.Errorf("event ids %q", ids)
	}
}

// An accepted conflict with an unknown status is an event with a dead letter, which
// can be replayed under its own key.
func TestAcceptOfAConflictWithAnUnknownStatus(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderCreated), order("e1", 0, orderNone, providerStatus("settled")))
	wantOutcomes(t, []*payrelayv1.Outcome{b.accept(1), b.replay(2)}, refused(unknownStatus), refused(unknownStatus))
	open := b.store.openLetters()
	if len(open) != 1 || open[0].ID != 2 || !strings.HasPrefix(open[0].Key.EventID, "e1#") || b.store.events[open[0].Key].Forced {
		t.Errorf("open dead letters %+v", open)
	}
	b.discard(2)
	b.wantDiscarded(open[0].Key, refused(unknownStatus))
}

func TestAcceptOfAFutureTime(t *testing.T) {
	b := newFixture(t)
	u := order("e1", 0, orderSuccess, ahead(48))
	b.apply(order("e0", 0, orderCreated), u)
	wantOutcomes(t, []*payrelayv1.Outcome{b.accept(1)}, verdict(applied))
	b.wantOrder(orderSuccess)
	b.wantSettled(payments.Accepted)
	wantOutcomes(t, b.apply(u, order("e2", 2, orderUpdated, user("u2"))), verdict(duplicate), verdict(applied))
	if o := b.store.order("o1"); o.Status != orderSuccess || o.UserID != "u2" {
		t.Errorf("order %+v", o)
	}
	b.wantOpen(0)
	wantHeads(t, b.store)
}

// A status that this release does not know cannot be applied.
func TestAcceptOfAnUnknownStatusChangesNothing(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderNone, providerStatus("settled")))
	before := b.store.dump()
	wantOutcomes(t, []*payrelayv1.Outcome{b.accept(1)}, refused(unknownStatus))
	b.wantOpen(1)
	b.store.audit = nil
	wantLines(t, "after the accept, without its audit entry", b.store.dump(), before)
}

func TestAcceptOfAnUpdateThatCanBeReadByNow(t *testing.T) {
	for name, test := range map[string]struct {
		recorded *payrelayv1.Update
		want     *payrelayv1.Outcome
		status   payrelayv1.OrderStatus
		open     int
	}{
		"without contradiction":    {order("e0", 0, orderCreated), verdict(applied), orderFailed, 0},
		"a contradiction":          {order("e0", 0, orderSuccess), verdict(applied), orderFailed, 0},
		"recorded in the meantime": {order("e1", 5, orderFailed), verdict(duplicate), orderFailed, 0},
		"a conflict":               {order("e1", 5, orderCreated), refused(conflict), orderCreated, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			b.letterFrom(order("e1", 5, orderFailed), unstorable, payments.Digest{1})
			b.apply(test.recorded)
			wantOutcomes(t, []*payrelayv1.Outcome{b.accept(1)}, test.want)
			b.wantSettled(payments.Accepted)
			b.wantOrder(test.status)
			b.wantOpen(test.open)
		})
	}
}

func TestADeadLetterIsAcceptedOnce(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 10, orderSuccess), order("e2", 20, orderFailed), order("e1", 10, orderFailed), order("e3", 0, orderUpdated, ahead(30)))
	for id := int64(1); id <= 3; id++ {
		b.accept(id)
		commits := b.store.commits
		for name, again := range map[string]func() error{
			"accept":  func() error { _, err := b.Accept(t.Context(), id, "bob", "me too"); return err },
			"replay":  func() error { _, err := b.Replay(t.Context(), id, "bob", "me too"); return err },
			"discard": func() error { return b.Discard(t.Context(), id, "bob", "me too") },
		} {
			err := again()
			if !errors.Is(err, payments.ErrSettled) || !strings.HasPrefix(err.Error(), fmt.Sprintf("%s dead letter %d: ", name, id)) ||
				!strings.Contains(err.Error(), "accepted at 2026-01-04T13:00:00Z by ann (the bank says so)") {
				t.Errorf("%s of accepted dead letter %d: error %v, want one that says who accepted it", name, id, err)
			}
		}
		if letter, _ := b.store.DeadLetter(t.Context(), id); letter.By != "ann" || b.store.commits != commits {
			t.Errorf("dead letter %+v was settled twice", letter)
		}
	}

	b.apply(order("e4", 30, orderSuccess), order("e5", 40, orderFailed))
	b.apply(order("e45", 35, orderReversed))
	letter := b.letterOf("e5")
	if _, err := b.Accept(t.Context(), letter.ID, "bob", ""); !errors.Is(err, payments.ErrSettled) || !strings.Contains(err.Error(), "reapplied at") {
		t.Errorf("accept of a dead letter that was reapplied: error %v", err)
	}
}

func TestAcceptIsRefusedWhereThereIsNothingToJudge(t *testing.T) {
	b := newFixture(t)
	if _, err := b.Accept(t.Context(), 1, "ann", ""); !errors.Is(err, payments.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
	b.apply(order("e1", 0, orderCreated, schema(2)), order("", 0, orderCreated))
	for id := int64(1); id <= 2; id++ {
		if _, err := b.Accept(t.Context(), id, "ann", ""); err == nil || !strings.Contains(err.Error(), "discard it") {
			t.Errorf("dead letter %d: error %v, want one that says how to settle it", id, err)
		}
	}
	b.wantOpen(2)
}
