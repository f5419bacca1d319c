package payments

import (
	"fmt"
	"slices"
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// explainOrder tells the state of the order, why it is not paid, its unusual facts, its dead
// letters and its disputes.
func (x *explainer) explainOrder() {
	story := x.stories[Subject{Order: x.orderID}]
	switch last := lastChange(story); {
	case x.Order == nil:
		x.say("Nothing that order %q reports was applied, so it has no state.", x.orderID)
	case last == nil:
		x.say("Order %q is %s.", x.orderID, x.orderState())
	default:
		x.say("Order %q is %s since %s, by %s.", x.orderID, x.orderState(), timeText(last.at.At), eventText(last.Key))
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

// orderState returns the status of the order, with its refunds.
func (x *explainer) orderState() string {
	status, view := OrderStatuses.Name(x.Order.Status), x.Order.View()
	switch {
	case x.Order.Status != payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS:
		return status
	case view == status:
		return "paid: its status is " + status
	default:
		return fmt.Sprintf("paid (%s): its status is %s", strings.ReplaceAll(view, "_", " "), status)
	}
}

// lastChange returns the event that set the present status, or nil if it is not known.
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
	amount, moved := "No amount of it was stated", "nothing is known to be authorized, captured or refunded"
	if o.Amount.known() {
		amount = "Its amount is " + o.Amount.text()
	}
	if len(stated) > 0 {
		moved = strings.Join(stated, ", ")
	}
	return amount + ": " + moved + "."
}

// explainUnpaid tells why the order is not paid.
func (x *explainer) explainUnpaid(story []*told) {
	said := len(x.Sentences)
	for _, l := range x.DeadLetters {
		if u := l.update(); u.GetOrder() != nil && saysPaid(u) {
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
			x.say("It was paid until %s, when %s said %s: it is not paid any more.", timeText(t.at.At), eventText(t.Key), t.said())
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
		x.say("It is not paid: no event that says so was applied.")
	case newest.After == OrderStatuses.Name(payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED):
		x.say("It is not paid: its amount is only authorized, which reserves it, and no event says that it was captured. The newest is %s, which says %s at %s.",
			eventText(newest.Key), newest.said(), timeText(newest.at.At))
	default:
		x.say("No event says that it is paid: the newest is %s, which says %s at %s.", eventText(newest.Key), newest.said(), timeText(newest.at.At))
	}
	if x.unnamed > 0 {
		x.say("Open dead letters that name no order: %d. One may be about this order: app deadletters list --reason undecodable,wrong_environment,unstorable.", x.unnamed)
	}
}

// lastFrom returns the last event that changed a status.
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

var flagSentences = map[Flag]string{
	FlagOverRefunded:        "More was refunded than captured.",
	FlagOverpaid:            "More was captured than the amount of the order.",
	FlagCurrencyDiffers:     "Its amounts are in several currencies, or the currency of the dispute is not that of the order.",
	FlagDisputeExceedsOrder: "The amount at stake is larger than what the order captured.",
	FlagCurrencyUnknown:     "A currency is not in the table of ISO 4217, so its decimals may be unknown.",
	FlagNonStandardExponent: "An amount has more decimals than its currency has.",
	FlagReopened:            "The dispute was opened again after an outcome.",
}

func (x *explainer) explainFlags(flags []Flag) {
	for _, flag := range flags {
		x.say("Note (%s): %s", flag, flagSentences[flag])
	}
}

// explainLetters tells what each open dead letter is about, and the commands that settle it.
func (x *explainer) explainLetters() {
	for _, l := range x.DeadLetters {
		about := "a body or record that names no order"
		if u := l.update(); u.GetEventId() != "" && kindOf(u) != "" {
			about = fmt.Sprintf("%s %s says %s at %s", kindOf(u), eventText(l.Key), saidBy(u), timeText(timeOf(u.GetOccurredAt())))
		}
		why := "The reason: " + l.Detail + "."
		for _, t := range x.story {
			if t.refused() && l.Key == t.Key && l.Digest == t.Facts {
				why, _, _ = strings.Cut(t.Why, " It is dead letter")
			}
		}
		settle := strings.ReplaceAll(reasons[l.Reason].settle, " ID ", fmt.Sprintf(" %d ", l.ID))
		x.say("Dead letter %d is open (%s): %s. %s %s", l.ID, DeadLetterReasons.Name(l.Reason), about, why, settle)
	}
}

// explainDispute tells the state of a dispute and its deadline.
func (x *explainer) explainDispute(key DisputeKey) {
	i := slices.IndexFunc(x.Disputes, func(d Dispute) bool { return d.DisputeKey == key })
	if i < 0 {
		x.say("Nothing that dispute %q of %s reports was applied, so it has no state.", key.ID, key.Source)
		return
	}
	d := x.Disputes[i]
	text := fmt.Sprintf("Dispute %q of %s about order %q is %s", d.ID, d.Source, d.OrderID, DisputeStatuses.Name(d.Status))
	if stage := DisputeStages.Name(d.Stage); stage != "" {
		text += " (" + strings.ReplaceAll(stage, "_", " ") + ")"
	}
	if last := lastChange(x.stories[Subject{Dispute: key}]); last != nil {
		text += fmt.Sprintf(" since %s, by %s", timeText(last.at.At), eventText(last.Key))
	}
	if d.Amount.known() {
		text += "; " + d.Amount.text() + " are at stake"
	}
	if d.Reason != "" {
		text += fmt.Sprintf("; the reason is %q", d.Reason)
	}
	x.say("%s.", text)
	switch {
	case d.OutcomeAmount.known():
		x.say("The merchant finally loses %s.", d.OutcomeAmount.text())
	case !d.EvidenceDueAt.IsZero():
		x.say("Evidence for dispute %q is due at %s.", d.ID, timeText(d.EvidenceDueAt))
	case !finalDispute(d.Status):
		x.say("No deadline for evidence of dispute %q is known.", d.ID)
	}
	order := x.Order
	if order == nil {
		order = x.owner
	}
	x.explainFlags(d.Flags(order))
}
