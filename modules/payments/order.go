package payments

import (
	"fmt"
	"slices"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Order is the state of an order, folded from its history.
type Order struct {
	ID     string
	Status payrelayv1.OrderStatus
	UserID string
	// Amount is the newest stated amount of the order.
	Amount Money
	// CreatedAt and UpdatedAt are the provider's times of the first and of the last
	// update that was applied.
	CreatedAt time.Time
	UpdatedAt time.Time
	// Sequence is the number of the order in the order of recording. It is set only in a
	// page of a query.
	Sequence int64 `json:"-"`
	// Parts holds the stated amounts of the order and its parts, in a text form that only
	// this package reads. It is empty if none was stated.
	Parts string
}

// Totals holds the running totals of an order. An amount without a currency is unknown.
type Totals struct{ Authorized, Captured, Refunded Money }

// Totals returns the totals that were stated for the order as a whole. A total that was
// not stated is the sum over the parts.
func (o Order) Totals() Totals {
	ps, err := decodeParts(o.Parts)
	if err != nil {
		return Totals{}
	}
	return ps.totals(o.Amount.Currency)
}

// stepOrder returns the order after a newer snapshot, or the reason why the
// snapshot is refused. A forced snapshot is never refused.
func stepOrder(o Order, u *payrelayv1.Update, forced bool) (Order, payrelayv1.DeadLetterReason) {
	s := u.GetOrder()
	status := s.GetStatus()
	if status == payrelayv1.OrderStatus_ORDER_STATUS_REFUNDED {
		status = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
	}
	ps, err := decodeParts(o.Parts)
	if err != nil {
		return o, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE
	}
	next := orderMoves[[2]payrelayv1.OrderStatus{o.Status, s.GetStatus()}]
	paid := o.Status == payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
	switch {
	case forced:
		next = set
	case next == attempt:
		switch ps.paidBy(s.GetPart()) {
		case paidByIt:
			next, status = set, payrelayv1.OrderStatus_ORDER_STATUS_REVERSED
		case paidByOthers:
			next = keep
		default:
			return o, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION
		}
	case status == payrelayv1.OrderStatus_ORDER_STATUS_REVERSED && paid && s.GetPart() != "" && ps.paidBy(s.GetPart()) != paidByIt:
		next = keep // the part has not paid, so there is nothing to take back
	}
	if !forced && moneyMoved(o.Status) && contradictsMoney(s, ps.totals(o.Amount.Currency).Captured.Currency) {
		return o, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH
	}
	if o.Status == payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED {
		o.CreatedAt = latest(timeOf(u.GetOccurredAt()), timeOf(s.GetCreatedAt()))
	}
	o.Amount = latest(o.Amount, moneyOf(s.GetAmount()))
	p := ps.at(s.GetPart())
	p.merge(s)
	if next == set {
		switch status {
		case payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS:
			p.succeed(s)
		case payrelayv1.OrderStatus_ORDER_STATUS_REVERSED:
			left := moneyOf(s.GetCaptured())
			p.reverse(left)
			if s.GetPart() == "" {
				for i := range ps[1:] {
					ps[1+i].reverse(Money{})
				}
			} else if paid && slices.ContainsFunc(ps, func(other part) bool { return other.Name != s.GetPart() && other.holdsMoney() }) {
				status = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
			}
		}
		o.Status = status
	}
	o.Parts = ps.encode()
	o.UserID = latest(o.UserID, u.GetUserId())
	o.UpdatedAt = timeOf(u.GetOccurredAt())
	return o, noReason
}

// payer is which part of an order paid, relative to a snapshot.
type payer int

const (
	// paidUnnamed means that it is unknown, because the snapshot or the success names
	// no part.
	paidUnnamed payer = iota
	paidByIt
	paidByOthers
)

// paidBy returns whether the named part has paid, or other parts have.
func (ps parts) paidBy(name string) payer {
	if name == "" {
		return paidUnnamed
	}
	by := paidByOthers
	for _, p := range ps {
		switch {
		case p.Paid && p.Name == name:
			return paidByIt
		case p.Paid && p.Name == "":
			by = paidUnnamed
		}
	}
	return by
}

// moneyMoved reports whether an order of the status has captured money.
func moneyMoved(s payrelayv1.OrderStatus) bool {
	return s == payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS || s == payrelayv1.OrderStatus_ORDER_STATUS_REVERSED
}

// contradictsMoney reports whether a snapshot states an amount in another currency than
// the captured one. Without a captured currency it returns false.
func contradictsMoney(s *payrelayv1.OrderSnapshot, captured string) bool {
	return captured != "" && slices.ContainsFunc(
		[]*payrelayv1.Money{s.GetAmount(), s.GetAuthorized(), s.GetCaptured(), s.GetRefunded()},
		func(m *payrelayv1.Money) bool { return m != nil && m.GetCurrency() != captured })
}

// orderPosition returns the position of a snapshot in the history of its order.
func orderPosition(u *payrelayv1.Update, key Key) Position {
	s := u.GetOrder()
	return Position{
		At: timeOf(u.GetOccurredAt()), Rank: orderRanks[s.GetStatus()],
		Refunded: s.GetRefunded().GetMinorUnits(), Captured: s.GetCaptured().GetMinorUnits(),
		EventID: key.EventID, Source: key.Source,
	}
}

// latest returns newer, or known if newer is the zero value.
func latest[T comparable](known, newer T) T {
	var none T
	if newer == none {
		return known
	}
	return newer
}

// explainOrder describes the state of the order, why it is not paid, its unusual facts, its dead
// letters and its disputes.
func (x *explainer) explainOrder() {
	story := x.stories[Subject{Order: x.orderID}]
	switch last := lastChange(story); {
	case x.Order == nil:
		x.say("No event of order %q has been applied, so the order has no state.", x.orderID)
	case last == nil:
		x.say("Order %q %s.", x.orderID, x.orderState("has the status"))
	default:
		x.say("Order %q %s since %s, set by %s.", x.orderID, x.orderState("has had the status"), timeText(last.at.At), eventText(last.Key))
	}
	if x.Order != nil {
		x.say("%s", moneySentence(*x.Order))
	}
	if x.Order == nil || x.Order.Status != payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS {
		x.explainUnpaid(story)
	}
	if x.Order != nil {
		x.explainFlags(x.Order.Flags())
	}
	x.explainLetters()
	for i := range x.Disputes {
		x.explainDispute(x.Disputes[i].DisputeKey)
	}
}

// orderState returns the words has and the status of the order, after whether it is paid and
// refunded.
func (x *explainer) orderState(has string) string {
	status, view := OrderStatuses.Name(x.Order.Status), x.Order.View()
	switch {
	case x.Order.Status != payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS:
		return has + " " + status
	case view == status:
		return fmt.Sprintf("is paid: it %s %s", has, status)
	default:
		return fmt.Sprintf("is paid (%s): it %s %s", strings.ReplaceAll(view, "_", " "), has, status)
	}
}

// lastChange returns the event that set the current status, or nil if it is unknown.
func lastChange(story []*told) *told {
	for _, t := range slices.Backward(story) {
		if t.After != t.Before {
			return t
		}
	}
	return nil
}

func moneySentence(o Order) string {
	totals := o.Totals()
	var stated []string
	for _, m := range []struct {
		name   string
		amount Money
	}{{"authorized", totals.Authorized}, {"captured", totals.Captured}, {"refunded", totals.Refunded}} {
		if m.amount.known() {
			stated = append(stated, m.amount.text()+" "+m.name)
		}
	}
	amount, moved := "No event stated its amount", "nothing is known to be authorized, captured or refunded"
	if o.Amount.known() {
		amount = "Its amount is " + o.Amount.text()
	}
	if len(stated) > 0 {
		moved = strings.Join(stated, ", ")
	}
	return amount + ": " + moved + "."
}

// explainUnpaid explains why the order is not paid.
func (x *explainer) explainUnpaid(story []*told) {
	said := len(x.Sentences)
	for _, l := range x.DeadLetters {
		if u := x.updates[l.ID]; u.GetOrder() != nil && saysPaid(u) {
			x.say("It is not paid: an event that says %s is dead letter %d, because %s.", saidBy(u), l.ID, l.Detail)
		}
	}
	var newest *told
	for _, t := range story {
		paid := OrderStatuses.Name(payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS)
		switch {
		case t.Discarded && saysPaid(t.Update):
			x.say("It is not paid: %s, which says %s at %s, was discarded%s.", eventText(t.Key), t.said(), timeText(t.at.At), byWhom((&teller{letters: x.letters}).letterOf(&t.Event)))
		case t.Before == paid && t.After != paid && t == lastFrom(story, paid):
			x.say("It was paid until %s, when %s said %s. It is no longer paid.", timeText(t.at.At), eventText(t.Key), t.said())
		}
		if t.folded && t.Verdict != payrelayv1.Verdict_VERDICT_DEAD_LETTERED {
			newest = t
		}
	}
	switch {
	case len(x.Sentences) > said:
	case newest == nil && len(story) == 0:
		x.say("It is not paid: no event about the order is recorded. If the provider has sent one, app sources shows what arrived from each source.")
	case newest == nil:
		x.say("It is not paid: no event that reports a payment was applied.")
	case newest.After == OrderStatuses.Name(payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED):
		x.say("It is not paid: its amount is only authorized, which reserves the money, and no event says that it was captured. The newest event is %s, which says %s at %s.",
			eventText(newest.Key), newest.said(), timeText(newest.at.At))
	default:
		x.say("No event says that it is paid. The newest is %s, which says %s at %s.", eventText(newest.Key), newest.said(), timeText(newest.at.At))
	}
	if x.unnamed > 0 {
		x.say("Open dead letters that name no order: %d. One of them may be about this order: app deadletters list --reason undecodable,wrong_environment,unstorable.", x.unnamed)
	}
}

// lastFrom returns the last event that changed the order from the status to another, or nil.
func lastFrom(story []*told, status string) (last *told) {
	for _, t := range story {
		if t.Before == status && t.After != status {
			last = t
		}
	}
	return last
}

// saysPaid reports whether an update of an order says that it is paid.
func saysPaid(u *payrelayv1.Update) bool {
	s := u.GetOrder().GetStatus()
	return s == payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS || s == payrelayv1.OrderStatus_ORDER_STATUS_REFUNDED
}
