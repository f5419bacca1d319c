package provider

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// adyenDigits has the currencies whose minor unit has other decimals at Adyen than in ISO
// 4217.
var adyenDigits = map[string]int{"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2, "MRO": 1}

// adyenDecoder decodes one item.
type adyenDecoder struct {
	*adyen
	*adyenItem
	place   string // of the item in the body
	ignored []string
}

// ignore records that a member of the item, or the item if member is empty, has no effect.
func (d *adyenDecoder) ignore(member string) { d.ignored = append(d.ignored, d.place+member) }

// update returns what the item reports. The error is a Malformed or a
// payments.InvalidError.
func (d *adyenDecoder) update() (*payrelayv1.Update, error) {
	at, ok := d.EventDate.Time(adyenLayouts...)
	if !ok || at == nil {
		return nil, jsonbody.NewMalformed("invalid_time", "eventDate must be a time such as 2021-01-01T01:00:00+01:00")
	}
	amount, err := d.money()
	if err != nil {
		return nil, err
	}
	u := &payrelayv1.Update{
		OrderId:    d.orderID(),
		UserId:     d.id(d.Additional.Value.Shopper, ".additionalData.shopperReference"),
		OccurredAt: at,
	}
	due := d.due()
	u.EventId = d.eventID(due)
	succeeded, failed := strings.EqualFold(string(d.Success), "true"), strings.EqualFold(string(d.Success), "false")
	result := adyenResult{string(d.EventCode), succeeded}
	order, isOrder := adyenOrders[result]
	if automatic, differs := adyenAutomatic[result]; differs && d.automatic {
		order = automatic
	}
	if d.EventCode == "CANCEL_OR_REFUND" && succeeded {
		order, isOrder = adyenReversals[d.Additional.Value.Action]
	}
	dispute, isDispute := adyenDisputes[string(d.EventCode)]
	switch {
	case isOrder && (succeeded || failed):
		u.Subject = &payrelayv1.Update_Order{Order: d.order(order, amount)}
	case isDispute && succeeded:
		u.Subject = &payrelayv1.Update_Dispute{Dispute: d.dispute(dispute, amount, at, due)}
	default:
		u.Subject = &payrelayv1.Update_Note{Note: d.note(succeeded)}
	}
	return u, payments.Validate(&payrelayv1.Update{
		Provider: d.source, EventId: u.EventId, OrderId: u.OrderId, UserId: u.UserId, OccurredAt: u.OccurredAt, Subject: u.Subject,
	})
}

// orderID returns the merchant's order id with the prefix or, without one, that of the
// payment at Adyen.
func (d *adyenDecoder) orderID() string {
	if reference := jsonbody.FirstText(d.MerchantReference); reference != "" {
		return d.prefix + reference
	}
	return jsonbody.FirstText(d.OriginalReference, d.PSPReference)
}

// adyenLayouts are the layouts of times, which have an offset.
var adyenLayouts = []string{time.RFC3339, "2006-01-02T15:04:05Z0700"}

// eventID returns the identity of an event, which has no id of its own. A redelivery has
// another eventDate and may have another signature, so that neither is part of it. All
// events of a dispute have one pspReference; disputeStatus distinguishes those with the
// same code. Pre-arbitration can be opened twice with the same status, so that there the
// deadline distinguishes the rounds.
func (d *adyenDecoder) eventID(due *timestamppb.Timestamp) string {
	id := strings.Join([]string{string(d.EventCode), string(d.PSPReference), strings.ToLower(string(d.Success))}, ":")
	if status := d.Additional.Value.DisputeStatus; status != "" {
		id += ":" + payments.PlainText(string(status)) // which is not signed
	}
	if d.EventCode == "PREARBITRATION_OPEN" && due != nil {
		id += ":" + due.AsTime().Format(time.RFC3339)
	}
	return id
}

// money returns the amount of the item, or nil if there is none.
func (d *adyenDecoder) money() (*payrelayv1.Money, error) {
	value, currency := d.Amount.Value.Value, strings.ToUpper(strings.TrimSpace(string(d.Amount.Value.Currency)))
	units, err := strconv.ParseInt(string(value), 10, 64)
	switch {
	case value == "", err == nil && units == 0 && currency == "":
		return nil, nil
	case err != nil:
		return nil, jsonbody.NewMalformed("invalid_amount", "amount.value must be a whole number of minor units")
	}
	digits, differs := adyenDigits[currency]
	if !differs {
		digits = -1
	}
	return payments.MinorUnits(units, currency, digits)
}

// id returns a text as an id, or nothing if an update cannot hold it.
func (d *adyenDecoder) id(text jsonbody.Text, member string) string {
	if jsonbody.CheckID(member, string(text)) != nil {
		d.ignore(member)
		return ""
	}
	return jsonbody.FirstText(text)
}

// due returns the deadline of the defense, or nil if there is none or it cannot be read.
func (d *adyenDecoder) due() *timestamppb.Timestamp {
	due, ok := d.Additional.Value.DefenseEndsAt.Time(adyenLayouts...)
	if !ok {
		d.ignore(".additionalData.defensePeriodEndsAt")
	}
	return due
}

func (d *adyenDecoder) order(meaning adyenOrder, amount *payrelayv1.Money) *payrelayv1.OrderSnapshot {
	order := &payrelayv1.OrderSnapshot{Status: meaning.status}
	switch meaning.of {
	case ownPart:
		order.Part = string(d.PSPReference)
	case paymentPart:
		order.Part = jsonbody.FirstText(d.OriginalReference, d.PSPReference)
	}
	if amount == nil {
		return order
	}
	zero := &payrelayv1.Money{Currency: amount.Currency, Exponent: amount.Exponent}
	switch meaning.amount {
	case orderAmount:
		order.Amount = amount
	case isAuthorized:
		order.Authorized = amount
	case isAuthorizedAndCaptured:
		order.Authorized, order.Captured = amount, amount
	case isCaptured:
		order.Captured = amount
	case isRefunded:
		order.Refunded = amount
	case nothingCaptured:
		order.Captured = zero
	case nothingRefunded:
		order.Refunded = zero
	}
	return order
}

// dispute returns a snapshot. An item that may be about any of the disputes of a payment
// has no status that is known, and becomes a dead letter of its order: with the payment's
// reference it would open a second dispute, and the first would never have an outcome.
func (d *adyenDecoder) dispute(meaning adyenDispute, amount *payrelayv1.Money, at, due *timestamppb.Timestamp) *payrelayv1.DisputeSnapshot {
	dispute := &payrelayv1.DisputeSnapshot{
		DisputeId: string(d.PSPReference), Stage: meaning.stage, Reason: d.disputeReason(), Amount: amount, EvidenceDueAt: due,
	}
	word := d.Additional.Value.DisputeStatus
	status, known := meaning.statuses[word]
	switch {
	case meaning.orPayment && d.OriginalReference == "":
		dispute.ProviderStatus = payments.PlainText(string(d.EventCode) + " without originalReference")
	case word == "" || meaning.statuses == nil:
		dispute.Status = meaning.status
	case !known:
		dispute.ProviderStatus = payments.PlainText(string(d.EventCode + ":" + word))
	case word == "Undefended" && meaning.stage == stageChargeback && due.AsTime().After(at.AsTime()):
		dispute.Status = disputeOpen // not defended yet: the defense period has not ended
	default:
		dispute.Status = status
	}
	return dispute
}

// disputeReason returns the scheme and its code, such as "mc 4853", or the text.
func (d *adyenDecoder) disputeReason() string {
	extra := &d.Additional.Value
	code, scheme := extra.ReasonCode, extra.SchemeCode
	if code == "" {
		code, scheme = extra.RFIReasonCode, extra.RFISchemeCode
	}
	if jsonbody.FirstText(code) == "" {
		return payments.PlainText(strings.TrimSpace(string(d.Reason)))
	}
	return payments.PlainText(strings.TrimSpace(strings.TrimSpace(string(scheme)) + " " + strings.TrimSpace(string(code))))
}

// note returns a note. Its kind is the event code, unless the contract has a word for it.
func (d *adyenDecoder) note(succeeded bool) *payrelayv1.Note {
	note := &payrelayv1.Note{Kind: payments.PlainText(string(d.EventCode)), Text: payments.PlainText(string(d.Reason))}
	switch {
	case d.EventCode == "NOTIFICATION_OF_FRAUD":
		note.Kind = "fraud_warning"
	case d.EventCode == "ISSUER_COMMENTS":
		note.Kind, note.DisputeId = "comment", string(d.PSPReference)
		note.Text = payments.PlainText(jsonbody.FirstText(d.Additional.Value.Explanation, d.Reason))
	case !succeeded:
		note.Text = payments.PlainText("success is " + string(d.Success) + ": " + string(d.Reason))
	}
	return note
}
