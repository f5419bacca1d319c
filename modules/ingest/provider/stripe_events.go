package provider

import (
	"cmp"
	"math"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// stripeOrderEvents has the events that report a fact about an order: the kind of their
// object, and a function that returns the snapshot, or nil if the object states nothing
// about the order.
//
// The part of an order is the payment intent, or the charge if it has none: the events of
// an intent and those of its charges state the same running totals.
var stripeOrderEvents = map[string]struct {
	object   string
	snapshot func(*stripeEvent) *payrelayv1.OrderSnapshot
}{
	"payment_intent.created":                   {"payment_intent", stripeOrder(payrelayv1.OrderStatus_ORDER_STATUS_CREATED)},
	"payment_intent.processing":                {"payment_intent", stripeOrder(payrelayv1.OrderStatus_ORDER_STATUS_UPDATED)},
	"payment_intent.requires_action":           {"payment_intent", stripeOrder(payrelayv1.OrderStatus_ORDER_STATUS_UPDATED)},
	"payment_intent.partially_funded":          {"payment_intent", stripeOrder(payrelayv1.OrderStatus_ORDER_STATUS_UPDATED)},
	"payment_intent.payment_failed":            {"payment_intent", stripeOrder(payrelayv1.OrderStatus_ORDER_STATUS_FAILED)},
	"payment_intent.amount_capturable_updated": {"payment_intent", stripeCapturable},
	"payment_intent.succeeded":                 {"payment_intent", stripeIntentSucceeded},
	"payment_intent.canceled":                  {"payment_intent", stripeIntentCanceled},
	"charge.pending":                           {"charge", stripeOrder(payrelayv1.OrderStatus_ORDER_STATUS_UPDATED)},
	"charge.succeeded":                         {"charge", stripeChargeSucceeded},
	"charge.captured":                          {"charge", stripeChargeSucceeded},
	"charge.failed":                            {"charge", stripeChargeFailed},
	"charge.expired":                           {"charge", stripeChargeRefunded},
	"charge.refunded":                          {"charge", stripeChargeRefunded},
	"charge.updated":                           {"charge", stripeChargeUpdated},
	"charge.refund.updated":                    {"refund", stripeRefund},
	"refund.created":                           {"refund", stripeRefund},
	"refund.updated":                           {"refund", stripeRefund},
	"refund.failed":                            {"refund", stripeRefund},
}

// stripeDisputeStatus maps the status of a dispute. The type of the event does not matter:
// money is withdrawn and reinstated without a change of the status.
var stripeDisputeStatus = map[string]struct {
	stage  payrelayv1.DisputeStage
	status payrelayv1.DisputeStatus
}{
	"warning_needs_response": {payrelayv1.DisputeStage_DISPUTE_STAGE_INQUIRY, payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN},
	"warning_under_review":   {payrelayv1.DisputeStage_DISPUTE_STAGE_INQUIRY, payrelayv1.DisputeStatus_DISPUTE_STATUS_SUBMITTED},
	"warning_closed":         {payrelayv1.DisputeStage_DISPUTE_STAGE_INQUIRY, payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED},
	"needs_response":         {payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK, payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN},
	"under_review":           {payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK, payrelayv1.DisputeStatus_DISPUTE_STATUS_SUBMITTED},
	"appeal_needs_response":  {payrelayv1.DisputeStage_DISPUTE_STAGE_PRE_ARBITRATION, payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN},
	"appeal_under_review":    {payrelayv1.DisputeStage_DISPUTE_STAGE_PRE_ARBITRATION, payrelayv1.DisputeStatus_DISPUTE_STATUS_SUBMITTED},
	"won":                    {payrelayv1.DisputeStage_DISPUTE_STAGE_UNSPECIFIED, payrelayv1.DisputeStatus_DISPUTE_STATUS_WON},
	"lost":                   {payrelayv1.DisputeStage_DISPUTE_STAGE_UNSPECIFIED, payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST},
	"prevented":              {payrelayv1.DisputeStage_DISPUTE_STAGE_UNSPECIFIED, payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED},
	"charge_refunded":        {payrelayv1.DisputeStage_DISPUTE_STAGE_UNSPECIFIED, payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED}, // in old versions of the API
}

const (
	stripeDisputes      = "charge.dispute."
	stripeFraudWarnings = "radar.early_fraud_warning."
)

// update returns the update that the event reports, and the type of the event. The update
// is not valid if e.err is set.
//
// It occurred when Stripe created the event, because the object is a snapshot of that
// moment. The time has a precision of one second. Within a second, the ledger orders
// updates by their statuses and running totals.
func (e *stripeEvent) update() (*payrelayv1.Update, string) {
	kind := payments.PlainText(stripeText(e.kind))
	thin := !stripeIs(e.object, "event")
	if thin && !strings.HasPrefix(stripeText(e.object), "v2.core.event") {
		e.fail("not_an_event", "the body is not an event of Stripe: object must be event or v2.core.event")
		return nil, kind
	}
	if strings.TrimSpace(kind) == "" {
		e.fail("field_required", "type is required")
	}
	u := &payrelayv1.Update{EventId: e.checked("id", stripeText(e.id)), OccurredAt: e.occurredAt()}
	e.relate()
	order, isOrder := stripeOrderEvents[kind]
	switch {
	case thin: // without a state
	case isOrder:
		e.expect(order.object)
		if s := order.snapshot(e); s != nil {
			s.Part = e.checked("the id of the payment intent or charge", cmp.Or(e.intentID, e.chargeID))
			u.Subject = &payrelayv1.Update_Order{Order: s}
		}
	case strings.HasPrefix(kind, stripeDisputes):
		e.expect("dispute")
		u.Subject = &payrelayv1.Update_Dispute{Dispute: e.dispute()}
	}
	if u.Subject == nil {
		u.Subject = &payrelayv1.Update_Note{Note: e.note(kind)}
	}
	u.OrderId = e.checked("the order id", e.orderID(u.EventId))
	return u, kind
}

// expect refuses an event whose object is of another kind than its type requires.
func (e *stripeEvent) expect(object string) {
	if !stripeIs(e.of.object, object) {
		e.fail("unexpected_object", "data.object.object must be "+object+" in an event of this type")
	}
}

// relate sets the ids of the payment intent and of the charge of the object.
func (e *stripeEvent) relate() {
	e.chargeID = cmp.Or(stripeText(e.of.charge), stripeText(e.charge.id))
	e.intentID = cmp.Or(stripeText(e.of.paymentIntent), stripeText(e.intent.id), stripeText(e.charge.paymentIntent))
	switch {
	case stripeIs(e.of.object, "payment_intent"):
		e.intentID = stripeText(e.of.id)
	case stripeIs(e.of.object, "charge"):
		e.chargeID = stripeText(e.of.id)
	}
}

// orderID returns the id of the order: the merchant's with the prefix, from the metadata of
// the object or of one in it, or else the payment intent, the charge, the object or the
// event. Stripe's ids have no prefix, so that a dispute's is that of a part of its order.
func (e *stripeEvent) orderID(eventID string) string {
	for _, v := range []jsontext.Value{e.of.orderID, e.charge.orderID, e.intent.orderID} {
		if id := stripeText(v); strings.TrimSpace(id) != "" {
			return e.source.prefix + id
		}
	}
	return cmp.Or(e.intentID, e.chargeID, stripeText(e.of.id), eventID)
}

// stripeOrder returns a function that reads an object whose event states a status and
// moves no money.
func stripeOrder(status payrelayv1.OrderStatus) func(*stripeEvent) *payrelayv1.OrderSnapshot {
	return func(e *stripeEvent) *payrelayv1.OrderSnapshot { return e.order(status) }
}

// order returns a snapshot with the amount of the object.
func (e *stripeEvent) order(status payrelayv1.OrderStatus) *payrelayv1.OrderSnapshot {
	s := &payrelayv1.OrderSnapshot{Status: status, Amount: e.money("amount", e.of.amount, e.of.currency)}
	if e.intentID == "" || e.chargeID == "" { // a charge of an intent is newer than the order
		s.CreatedAt = stripeSeconds(e.of.created)
	}
	return s
}

// stripeCapturable reads an intent with an amount that can be captured. The authorized
// amount is the sum of what can be captured and what was captured, so it stays the same
// while captures use it up.
func stripeCapturable(e *stripeEvent) *payrelayv1.OrderSnapshot {
	s := e.order(payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED)
	capturable, _ := e.integer("amount_capturable", e.of.amountCapturable)
	received, _ := e.integer("amount_received", e.of.amountReceived)
	if received != 0 {
		s.Captured = e.minorUnits(received, e.of.currency)
	}
	switch {
	case capturable == 0:
		s.Status = payrelayv1.OrderStatus_ORDER_STATUS_UPDATED
	case capturable < 0 || received > math.MaxInt64-capturable:
		e.fail("invalid_amount", "amount_capturable must not be negative or too large")
	default:
		s.Authorized = e.minorUnits(capturable+received, e.of.currency)
	}
	return s
}

func stripeIntentSucceeded(e *stripeEvent) *payrelayv1.OrderSnapshot {
	s := e.order(payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS)
	s.Captured = e.money("amount_received", e.of.amountReceived, e.of.currency)
	return s
}

// stripeIntentCanceled reads a canceled intent. If a part of the amount was captured, only
// the rest is canceled, and the payment is a success.
func stripeIntentCanceled(e *stripeEvent) *payrelayv1.OrderSnapshot {
	if received, _ := e.integer("amount_received", e.of.amountReceived); received == 0 {
		return e.order(payrelayv1.OrderStatus_ORDER_STATUS_CANCELED)
	}
	return stripeIntentSucceeded(e)
}

func stripeChargeSucceeded(e *stripeEvent) *payrelayv1.OrderSnapshot {
	captured := e.money("amount_captured", e.of.amountCaptured, e.of.currency)
	if e.of.uncaptured() {
		s := e.order(payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED)
		s.Authorized = s.Amount
		return s
	}
	s := e.order(payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS)
	s.Captured = captured
	return s
}

// stripeChargeFailed reads a failed attempt or, if the failure has an entry in the balance,
// a payment that was credited before and is taken back, such as a bank debit.
func stripeChargeFailed(e *stripeEvent) *payrelayv1.OrderSnapshot {
	switch e.of.failureBalanceTransaction.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull:
		return e.order(payrelayv1.OrderStatus_ORDER_STATUS_FAILED)
	}
	return &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_REVERSED, Captured: e.minorUnits(0, e.of.currency)}
}

func stripeChargeRefunded(e *stripeEvent) *payrelayv1.OrderSnapshot { return e.refunds(&e.of) }

// stripeChargeUpdated reads a charge after any change, such as the failure of a refund,
// which reduces the total.
func stripeChargeUpdated(e *stripeEvent) *payrelayv1.OrderSnapshot {
	if !stripeIs(e.of.status, "succeeded") || e.of.uncaptured() {
		return nil
	}
	return e.refunds(&e.of)
}

// stripeRefund reads a refund. It states its own amount only, but the total of the charge
// if that is expanded.
func stripeRefund(e *stripeEvent) *payrelayv1.OrderSnapshot { return e.refunds(&e.charge) }

// uncaptured reports whether the object is a charge of which nothing was captured.
func (o *stripeObject) uncaptured() bool {
	switch string(o.amountCaptured) {
	case "", "null", "0":
		return o.captured.Kind() == jsontext.KindFalse
	}
	return false
}

// refunds returns the running totals of a charge, or nil if it does not state them. A
// refund does not change the status of the order. But a charge that was not captured is
// refunded, in Stripe's words, if its authorization is void or has expired.
func (e *stripeEvent) refunds(charge *stripeObject) *payrelayv1.OrderSnapshot {
	if charge.uncaptured() {
		return &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_CANCELED}
	}
	refunded, stated := e.integer("amount_refunded", charge.amountRefunded)
	if !stated {
		return nil
	}
	// After the capture of a part, Stripe counts the rest of the authorized amount as refunded.
	amount, _ := e.integer("amount", charge.amount)
	if captured, stated := e.integer("amount_captured", charge.amountCaptured); stated && refunded >= amount-captured {
		refunded -= max(0, amount-captured)
	}
	return &payrelayv1.OrderSnapshot{
		Status:   payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
		Captured: e.money("amount_captured", charge.amountCaptured, charge.currency),
		Refunded: e.minorUnits(refunded, charge.currency),
	}
}

func (e *stripeEvent) dispute() *payrelayv1.DisputeSnapshot {
	d := &payrelayv1.DisputeSnapshot{
		DisputeId: e.checked("the id of the dispute", stripeText(e.of.id)), Amount: e.money("amount", e.of.amount, e.of.currency),
		Reason: stripeText(e.of.reason), EvidenceDueAt: stripeSeconds(e.of.dueBy),
	}
	if code := stripeText(e.of.networkReasonCode); code != "" {
		d.Reason += " (" + code + ")"
	}
	d.Reason = payments.PlainText(strings.TrimSpace(d.Reason))
	status := payments.PlainText(stripeText(e.of.status))
	if known, ok := stripeDisputeStatus[status]; ok {
		d.Stage, d.Status = known.stage, known.status
	} else if d.ProviderStatus = status; strings.TrimSpace(status) == "" {
		e.fail("field_required", "the status of a dispute is required")
	}
	return d
}

// note returns the note of an event that changes no state.
func (e *stripeEvent) note(kind string) *payrelayv1.Note {
	switch {
	case strings.HasPrefix(kind, stripeFraudWarnings):
		return &payrelayv1.Note{Kind: "fraud_warning", Text: payments.PlainText(stripeText(e.of.fraudType))}
	case stripeIs(e.of.object, "refund"):
		text := strings.Join([]string{stripeText(e.of.id), stripeText(e.of.status), stripeText(e.of.failureReason)}, " ")
		return &payrelayv1.Note{Kind: kind, Text: strings.TrimSpace(payments.PlainText(text))}
	}
	return &payrelayv1.Note{Kind: kind}
}
