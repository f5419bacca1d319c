package payments_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// setRules marks the stored aggregates as folded by older rules, with the verdicts of
// those rules.
func (b *fixture) setRules(rules int, verdicts map[payments.Key]*payrelayv1.Outcome) {
	b.t.Helper()
	for id, a := range b.store.orders {
		a.Rules = rules
		b.store.orders[id] = a
	}
	for key, a := range b.store.disputes {
		a.Rules = rules
		b.store.disputes[key] = a
	}
	for key, outcome := range verdicts {
		e := b.store.events[key]
		e.Verdict, e.Reason = outcome.GetVerdict(), outcome.GetReason()
		if e.Verdict == dead {
			b.seed(&payments.Changes{DeadLetters: []*payments.DeadLetter{{
				Key: key, Digest: e.Facts, Reason: e.Reason, Payload: payloadOf(b.t, e.Update), CreatedAt: noon, Deliveries: 1, LastAt: noon,
			}}})
		}
	}
}

// An aggregate that was folded by older rules is folded again before anything is
// added to it. Dead letters that have become legal are settled.
func TestAnAggregateOfOlderRulesIsFoldedAgain(t *testing.T) {
	for _, rules := range []int{0, 1} {
		for name, next := range map[string][]*payrelayv1.Update{
			"newer":      {order("e9", 90, orderUpdated), dispute("d9", 90, disputeReview)},
			"late":       {order("e9", 5, orderUpdated), dispute("d9", 5, disputeReview)},
			"both":       {order("e9", 90, orderUpdated), order("e8", 5, orderUpdated), dispute("d9", 90, disputeReview), dispute("d8", 5, disputeReview)},
			"before all": {order("e9", -5, orderCreated), dispute("d9", -5, disputeOpen)},
		} {
			t.Run(fmt.Sprint(rules, " ", name), func(t *testing.T) {
				b := newFixture(t)
				first := []*payrelayv1.Update{
					order("e1", 0, orderFailed), order("e2", 10, orderSuccess, amount(5, "USD")), order("e3", 20, orderCanceled),
					dispute("d1", 0, disputeWon), dispute("d2", 10, disputeOpen, amount(5, "EUR")),
				}
				b.apply(first...)
				b.store.letters, b.store.sequence = make(map[letterName]*payments.DeadLetter), nil
				disputeKey := func(id string) payments.Key {
					return payments.Key{Source: "generic", Kind: payments.KindDispute, EventID: id}
				}
				b.setRules(rules, map[payments.Key]*payrelayv1.Outcome{
					orderKey("e2"): refused(illegal), orderKey("e3"): refused(illegal), disputeKey("d2"): refused(currencyMismatch),
				})
				// The verdicts of the older rules.
				a := b.store.orders["o1"]
				a.State = payments.Order{ID: "o1", Status: orderFailed, CreatedAt: noon, UpdatedAt: noon}
				b.store.orders["o1"] = a

				b.now = today.Add(time.Minute)
				b.apply(next...)
				wantOracleResult(t, b.store, append(first, next...))
				if b.store.histories != 1 {
					t.Errorf("%d histories were read, want 1", b.store.histories)
				}
				for _, want := range []struct {
					key        payments.Key
					resolution payments.Resolution
					reason     payrelayv1.DeadLetterReason
				}{
					{orderKey("e2"), payments.Reapplied, illegal}, {orderKey("e3"), "", contradiction},
					{disputeKey("d2"), payments.Reapplied, currencyMismatch},
				} {
					letter := b.store.letters[letterName{want.key, b.store.events[want.key].Facts}]
					if letter.Resolution != want.resolution || letter.Reason != want.reason || letter.Resolution != "" && !letter.ResolvedAt.Equal(b.now) {
						t.Errorf("dead letter %+v, want %+v", letter, want)
					}
				}
				if b.store.orders["o1"].Rules != payments.Rules || b.store.disputes[payments.DisputeKey{Source: "generic", ID: "o1"}].Rules != payments.Rules {
					t.Error("the aggregates still have the older rules")
				}
				b.apply(order("e99", 900, orderUpdated), dispute("d99", 900, disputeReview))
				if b.store.histories != 1 {
					t.Error("the histories were read again")
				}
			})
		}
	}
}

// Dead letters of the older rules can be replayed and accepted.
func TestOperationsFoldOlderRulesAgain(t *testing.T) {
	for name, test := range map[string]struct {
		operate func(b *fixture) *payrelayv1.Outcome
		want    *payrelayv1.Outcome
		status  payrelayv1.OrderStatus
	}{
		"replay":               {func(b *fixture) *payrelayv1.Outcome { return b.replay(1) }, verdict(applied), orderSuccess},
		"accept":               {func(b *fixture) *payrelayv1.Outcome { return b.accept(1) }, verdict(applied), orderSuccess},
		"replay what is wrong": {func(b *fixture) *payrelayv1.Outcome { return b.replay(2) }, refused(contradiction), orderSuccess},
		"accept what is wrong": {func(b *fixture) *payrelayv1.Outcome { return b.accept(2) }, verdict(applied), orderCanceled},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			b.apply(order("e1", 0, orderFailed), order("e2", 10, orderSuccess))
			b.setRules(1, map[payments.Key]*payrelayv1.Outcome{orderKey("e2"): refused(illegal)})
			b.store.beforeCommit = nil
			b.apply(order("e3", 20, orderCanceled))
			// The update folds the history by the present rules, so set the older ones again,
			// with both dead letters open.
			for _, letter := range b.store.letters {
				letter.Resolution = ""
			}
			b.setRules(1, map[payments.Key]*payrelayv1.Outcome{orderKey("e2"): refused(illegal), orderKey("e3"): refused(illegal)})
			wantOutcomes(t, []*payrelayv1.Outcome{test.operate(b)}, test.want)
			b.wantOrder(test.status)
			b.wantRecorded(map[string]*payrelayv1.Outcome{"e2": verdict(applied)})
			if b.store.orders["o1"].Rules != payments.Rules {
				t.Error("the order still has the older rules")
			}
		})
	}
}

// A note is recorded, and changes neither an order nor a dispute.
func TestNotes(t *testing.T) {
	b := newFixture(t)
	first, onDispute := note("n1", 0, "comment", noteText("call the buyer")), note("n2", 0, "fraud_warning", noteDispute("x"))
	wantOutcomes(t, b.apply(first, onDispute), verdict(applied), verdict(applied))
	if len(b.store.orders)+len(b.store.disputes) != 0 {
		t.Errorf("orders %v and disputes %v, want none", b.store.orders, b.store.disputes)
	}
	e := b.store.events[payments.Key{Source: "generic", Kind: payments.KindNote, EventID: "n1"}]
	if e == nil || e.Verdict != applied || e.InHistory() || e.Update.GetNote().GetText() != "call the buyer" || string(e.Update.GetRawBody()) != "generic n1" {
		t.Errorf("event %+v", e)
	}

	b.apply(order("e1", 5, orderSuccess), dispute("d1", 5, disputeOpen, disputeID("x")))
	before, dispute := b.store.orders["o1"], b.store.disputes[payments.DisputeKey{Source: "generic", ID: "x"}]
	wantOutcomes(t, b.apply(note("n3", 9, "comment"), note("n4", 1, "comment", ahead(99)), note("n5", 1, "comment", noteDispute("x"))),
		verdict(applied), verdict(applied), verdict(applied))
	if b.store.orders["o1"] != before || b.store.disputes[payments.DisputeKey{Source: "generic", ID: "x"}] != dispute || b.store.histories != 0 {
		t.Error("a note changed an order or a dispute")
	}
	wantOutcomes(t, b.apply(first, note("n1", 0, "comment", noteText("do not call the buyer"))), verdict(duplicate), refused(conflict))
	wantOutcomes(t, []*payrelayv1.Outcome{b.accept(1)}, verdict(applied))
	b.wantOpen(0)
	if len(b.store.events) != 8 {
		t.Errorf("%d events, want 8", len(b.store.events))
	}
}

// Repeated deliveries with the same conflicting facts are one dead letter.
func TestRedeliveriesWithOtherFactsAreOneDeadLetter(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess, amount(1000, "USD")))
	for i := range 15 {
		b.now = today.Add(time.Duration(i) * time.Minute)
		batch := make([]*payrelayv1.Update, 100)
		for j := range batch {
			batch[j] = order("e1", i+j, orderSuccess, amount(1200, "USD"), body(fmt.Sprint(i, j)))
		}
		for _, outcome := range b.apply(batch...) {
			wantOutcomes(t, []*payrelayv1.Outcome{outcome}, refused(conflict))
		}
	}
	open := b.store.openLetters()
	if len(open) != 1 || open[0].Deliveries != 1500 || !open[0].LastAt.Equal(b.now) || !open[0].CreatedAt.Equal(today) {
		t.Fatalf("open dead letters %+v, want one with 1500 deliveries", open)
	}
	b.apply(order("e1", 0, orderSuccess, amount(1300, "USD")))
	b.wantOpen(2)
	wantOutcomes(t, []*payrelayv1.Outcome{b.accept(1)}, verdict(applied))
	if o := b.store.order("o1"); o.Amount.MinorUnits != 1200 {
		t.Errorf("order %+v", o)
	}
	b.wantOpen(1)
}

// The same facts under one key are duplicates, regardless of their form.
func TestCosmeticRedeliveriesAreDuplicates(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess, amount(1000, "USD")))
	for i := range 15 {
		batch := make([]*payrelayv1.Update, 100)
		for j := range batch {
			batch[j] = order("e1", i+j, orderSuccess, amount(1000, "USD"), body(fmt.Sprint(i, j)), user(fmt.Sprint(i)))
		}
		for _, outcome := range b.apply(batch...) {
			wantOutcomes(t, []*payrelayv1.Outcome{outcome}, verdict(duplicate))
		}
	}
	if len(b.store.letters) != 0 || b.store.commits != 1 || len(b.store.events) != 1 {
		t.Errorf("%d dead letters, %d commits and %d events, want 0, 1 and 1", len(b.store.letters), b.store.commits, len(b.store.events))
	}
}

// The request ID and the trace of a delivery are not facts: a redelivery is recognized
// also when its update is a dead letter as a whole.
func TestRedeliveriesDifferInTheirOrigin(t *testing.T) {
	newer := order("e2", 0, orderSuccess)
	newer.SchemaVersion = payments.SchemaVersion + 1
	b := newFixture(t)
	for _, u := range []*payrelayv1.Update{
		order("e1", 0, orderSuccess), newer,
		payments.NewUnreadable("shop", []byte("x"), today), payments.NewWrongEnvironment("shop", []byte("y"), today),
	} {
		first := b.apply(u)
		again := proto.CloneOf(u)
		again.RequestId, again.Traceparent = "3QLXCVBK2SMHWQHY6J4ZFO5PDA", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		if payments.FactsDigest(again) != payments.FactsDigest(u) {
			t.Errorf("FactsDigest depends on the request ID of %v", u)
		}
		if u.GetEventId() == "e1" {
			first = []*payrelayv1.Outcome{verdict(duplicate)}
		}
		wantOutcomes(t, b.apply(again), first...)
	}
	open := b.store.openLetters()
	if len(open) != 3 || open[0].Deliveries != 2 || open[1].Deliveries != 2 || open[2].Deliveries != 2 {
		t.Errorf("open dead letters = %+v, want 3 with 2 deliveries each", open)
	}
}
