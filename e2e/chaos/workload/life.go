package workload

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// life is one order that is being generated, with its disputes.
type life struct {
	*rand.Rand
	order    string
	clock    time.Time
	webhooks []*history.Webhook
	mistakes float64                   // how many times as many mistakes of the provider there are
	events   map[string]int            // the number of events by kind
	late     map[*history.Webhook]bool // those of a long history that are sent last
}

// first returns the facts of an order that is created now.
func (l *life) first() history.Facts {
	return history.Facts{Order: l.order, User: fmt.Sprintf("user-%d", l.IntN(1000)), CreatedAt: l.clock.UnixMicro(),
		Amount: history.Money{Minor: 100 + l.Int64N(1_000_000), Currency: l.pick("USD", "EUR", "GBP")}}
}

// generate takes the order through its states: created, some updates, attempts to
// pay, refunds and reversals, and disputes that open, move, usually close and
// sometimes open again. A few webhooks are mistakes of the provider.
func (l *life) generate() {
	f := l.first()
	l.addOrder(f, "created")
	for range l.IntN(3) {
		f.Amount.Minor = 100 + l.Int64N(1_000_000)
		if l.Float64() < 0.05 {
			f.Amount.Currency = l.pick("USD", "EUR", "GBP") // the cart is shown in another one
		}
		l.addOrder(f, "updated")
	}
	if l.pay(&f) {
		l.afterPayment(f)
	}
	if l.Float64() < disputedOrders {
		l.dispute(f, l.order)
		if l.Float64() < 0.25 {
			l.dispute(f, l.order+"-second")
		}
	}
	if l.Float64() < l.mistakes*unknownStatuses {
		l.addOrder(f, "")
	}
}

// pay adds the attempts to pay, and reports whether one succeeds.
func (l *life) pay(f *history.Facts) bool {
	bare := *f // says nothing about money
	bare.Amount = history.Money{}
	switch n := l.IntN(100); {
	case n < 10: // abandoned
		return false
	case n < 18:
		l.addOrder(bare, l.pick("failed", "canceled"))
		return false
	case n < 24: // authorized, and never captured
		auth := bare
		auth.Authorized = f.Amount
		l.addOrder(auth, "authorized")
		l.addOrder(bare, "canceled")
		return false
	case n < 40: // a second card works
		l.addOrder(bare, "failed")
		l.addOrder(*f, "success")
	case n < 45: // paid after it was canceled
		l.addOrder(bare, "canceled")
		l.addOrder(*f, "success")
	case n < 60: // authorized, then captured in two steps
		auth, captured := bare, bare
		auth.Authorized = f.Amount
		l.addOrder(auth, "authorized")
		captured.Captured = history.Money{Minor: f.Amount.Minor / 2, Currency: f.Amount.Currency}
		l.addOrder(captured, "authorized")
		captured.Captured = f.Amount
		l.addOrder(captured, "success")
	case n < 75: // attempts by name
		f.Part = "a2"
		first, second := bare, *f
		first.Part, second.Captured = "a1", f.Amount
		l.addOrder(first, l.pick("failed", "updated"))
		l.addOrder(second, "success")
		if l.Float64() < 0.3 { // the first one reports late
			l.addOrder(first, l.pick("failed", "canceled"))
		}
	default:
		l.addOrder(*f, "success")
	}
	return true
}

// afterPayment adds what happens to an order that was paid.
func (l *life) afterPayment(f history.Facts) {
	says := f // nothing about money yet
	says.Amount = history.Money{}
	if l.Float64() < 0.25 {
		total := says
		for range 1 + l.IntN(3) {
			total.Refunded = history.Money{Minor: min(total.Refunded.Minor+1+l.Int64N(f.Amount.Minor/3), f.Amount.Minor), Currency: f.Amount.Currency}
			l.addOrder(total, l.pick("success", "updated"))
		}
		switch l.IntN(4) {
		case 0: // the last refund failed
			total.Refunded.Minor /= 2
			l.addOrder(total, "success")
		case 1:
			l.addOrder(says, "refunded")
		}
	} else if l.Float64() < 0.05 {
		l.addOrder(says, "refunded")
		l.addOrder(f, "success")
	}
	if l.Float64() < 0.05 { // repeated with less: nothing is rewritten
		less := f
		less.Amount.Minor = 1 + l.Int64N(f.Amount.Minor)
		l.addOrder(less, "success")
	}
	if l.Float64() < 0.06 { // the bank takes it back
		if f.Part != "" {
			l.addOrder(says, l.pick("failed", "reversed"))
		} else {
			l.addOrder(says, "reversed")
		}
		if l.Float64() < 0.5 {
			l.addOrder(f, "success")
		}
	}
	if l.Float64() < l.mistakes*otherCurrencies {
		mixed := says
		mixed.Refunded = history.Money{Minor: 1 + l.Int64N(1000), Currency: "CHF"}
		l.addOrder(mixed, "success")
	}
	if l.Float64() < l.mistakes*contradicted {
		unnamed := says
		unnamed.Part = ""
		l.addOrder(unnamed, l.pick("failed", "canceled"))
	}
}

// words are the provider's other words for a status.
var words = map[string][]string{
	"updated":  {"updated", "pending", "processing"},
	"canceled": {"canceled", "expired", "voided"},
	"reversed": {"reversed", "returned"},
}

// addOrder adds a webhook about the order; an empty status stands for one that
// payrelay does not know.
func (l *life) addOrder(f history.Facts, status string) {
	f.At, f.Status = l.tick(), status
	word := status
	switch {
	case status == "":
		f.ProviderStatus = "frozen"
		word = f.ProviderStatus
	case words[status] != nil:
		word = l.pick(words[status]...)
	case status == "success" && f.Refunded.Minor > 0:
		word = l.pick("success", "partially_refunded")
	}
	l.webhooks = append(l.webhooks, orderWebhook(l.nextEvent("order"), f, word))
}

// OtherOrder is the end of the id of an order that only a mistake names: the beginning is
// the order that the dispute is about.
const OtherOrder = "-other"

// dispute adds a dispute, with or without stages.
func (l *life) dispute(order history.Facts, id string) {
	f := history.Facts{Order: l.order, Dispute: id, User: order.User, Reason: l.pick("fraud", "not_received", "duplicate"),
		Amount: history.Money{Minor: 2 + l.Int64N(order.Amount.Minor), Currency: order.Amount.Currency}}
	if l.Float64() < 0.10 {
		f.Amount.Currency = l.pick("CHF", "SEK") // of the card
	}
	staged := l.Float64() < 0.5
	if staged {
		f.Stage = l.pick("inquiry", "chargeback")
	}
	ended := l.round(f)
	if ended && l.Float64() < 0.25 { // a second chargeback, or an appeal
		if staged {
			f.Stage = "pre_arbitration"
		}
		l.round(f)
	}
	if l.Float64() < 0.05 { // the outcome has no stage, or an earlier one
		f.Stage = l.pick("", "chargeback")
		l.addDispute(f, l.pick("open", "under_review", "won", "lost", "closed"))
	}
	if l.Float64() < l.mistakes*mismatchedOrders {
		f.Order += OtherOrder
		l.addDispute(f, "submitted")
	}
}

// round adds one round of a dispute, and reports whether it has an outcome.
func (l *life) round(f history.Facts) bool {
	l.addDispute(f, "open")
	for range l.IntN(3) {
		f.EvidenceDueAt = l.clock.Add(14 * 24 * time.Hour).UnixMicro()
		if l.Float64() < 0.3 {
			f.Amount = history.Money{} // says nothing, and is not 0
		}
		l.addDispute(f, l.pick("under_review", "submitted"))
	}
	if l.Float64() < 0.2 {
		return false
	}
	outcome := l.pick("won", "lost", "closed", "canceled")
	if outcome == "lost" && f.Amount.Known() && l.Float64() < 0.5 {
		f.OutcomeAmount = history.Money{Minor: 1 + l.Int64N(f.Amount.Minor), Currency: f.Amount.Currency}
	}
	l.addDispute(f, outcome)
	if l.Float64() < 0.1 { // another outcome, sometimes in the same second
		f.OutcomeAmount = history.Money{}
		l.addDispute(f, l.pick("won", "lost", "canceled"))
	}
	return true
}

func (l *life) addDispute(f history.Facts, status string) {
	f.At, f.Status = l.tick(), status
	l.webhooks = append(l.webhooks, DisputeWebhook(l.nextEvent("dispute"), f))
}

// tick advances the provider's clock, which counts whole seconds.
func (l *life) tick() int64 {
	if l.Float64() >= sameSecond {
		l.clock = l.clock.Add(time.Duration(1+l.IntN(600)) * time.Second)
	}
	return l.clock.UnixMicro()
}

// nextEvent returns an id that no other event of the kind has: an order and a
// dispute may share it.
func (l *life) nextEvent(kind string) string {
	l.events[kind]++
	return fmt.Sprintf("%s-%d", l.order, l.events[kind]-1)
}

func (l *life) pick(from ...string) string { return from[l.IntN(len(from))] }
