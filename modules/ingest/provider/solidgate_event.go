package provider

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// solidgateDecoder decodes one webhook. err keeps the first member that must be refused.
type solidgateDecoder struct {
	event   string        // the type
	sentAt  jsonbody.Text // the time in the header
	object  jsonbody.Object[solidgateBody]
	err     error
	ignored []string
}

func (d *solidgateDecoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// customer returns the merchant's id of the customer, or nothing if an update cannot hold
// it.
func (d *solidgateDecoder) customer() string {
	customer := d.object.Value.Order.Value.Customer
	if jsonbody.CheckID("order.customer_account_id", string(customer)) != nil {
		d.ignored = append(d.ignored, "order.customer_account_id")
		return ""
	}
	return jsonbody.FirstText(customer)
}

// solidgateLayouts are the layouts of times. Those in a body have no zone and are in UTC.
var solidgateLayouts = []string{time.DateTime, time.RFC3339}

// time returns the time of the event: the newest time of a change in the body
// or, if there is none, the time in the header, which is not signed.
func (d *solidgateDecoder) time() *timestamppb.Timestamp {
	body := &d.object.Value
	var changed []jsonbody.Text
	if body.Chargeback.Value != (solidgateChargeback{}) {
		for _, stage := range body.Flow {
			changed = append(changed, stage.UpdatedAt)
		}
	} else {
		changed = append(changed, body.UpdatedAt, body.Order.Value.UpdatedAt, body.Transaction.Value.UpdatedAt)
		for _, transaction := range body.Transactions {
			changed = append(changed, transaction.UpdatedAt)
		}
	}
	var newest *timestamppb.Timestamp
	for _, text := range changed {
		if at, ok := text.Time(solidgateLayouts...); ok && at != nil && (newest == nil || at.AsTime().After(newest.AsTime())) {
			newest = at
		}
	}
	if newest != nil {
		return newest
	}
	at, ok := d.sentAt.Time(solidgateLayouts...)
	if !ok || at == nil {
		d.fail(jsonbody.NewMalformed("invalid_time", "the body has no time of a change, and the header solidgate-event-created-at is not a time such as 2025-06-05T12:34:56.789Z"))
	}
	return at
}

// money returns an amount in minor units, or nil if there is none.
func (d *solidgateDecoder) money(path string, value, currency jsonbody.Text) *payrelayv1.Money {
	if value == "" || value == "0" && currency == "" {
		return nil
	}
	units, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		d.fail(jsonbody.NewMalformed("invalid_amount", path+" must be a whole number of minor units"))
		return nil
	}
	amount, err := payments.MinorUnits(units, string(currency), -1)
	if err != nil {
		d.fail(err)
	}
	return amount
}

// order returns a snapshot with running totals of the whole order.
func (d *solidgateDecoder) order() *payrelayv1.OrderSnapshot {
	o := &d.object.Value.Order.Value
	order := &payrelayv1.OrderSnapshot{
		Status:     solidgateStatuses[o.Status],
		Amount:     d.money("order.amount", o.Amount, o.Currency),
		Authorized: d.money("order.authorized_amount", o.Authorized, o.Currency),
		Captured:   d.settled(),
		Refunded:   d.money("order.refunded_amount", o.Refunded, o.Currency),
	}
	switch order.Status {
	case payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED:
		order.ProviderStatus = payments.PlainText(string(o.Status))
	case payrelayv1.OrderStatus_ORDER_STATUS_REFUNDED:
		if order.Refunded.GetMinorUnits() == 0 {
			order.Refunded = nil // not stated: everything is refunded
		}
	}
	return order
}

// settled returns the sum of the successful settlements in the currency of the order, or
// nil if the body lists none.
func (d *solidgateDecoder) settled() *payrelayv1.Money {
	body := &d.object.Value
	var sum *payrelayv1.Money
	for _, t := range body.Transactions {
		if t.Operation != "settle" || t.Status != "success" || !strings.EqualFold(string(t.Currency), string(body.Order.Value.Currency)) {
			continue
		}
		amount := d.money("transactions.amount", t.Amount, t.Currency)
		switch {
		case sum == nil:
			sum = amount
		case amount != nil:
			sum.MinorUnits += amount.MinorUnits
		}
		if sum != nil && sum.MinorUnits < 0 {
			d.fail(jsonbody.NewMalformed("invalid_amount", "the sum of transactions.amount is too large"))
		}
	}
	return sum
}

func (d *solidgateDecoder) dispute() *payrelayv1.DisputeSnapshot {
	c := &d.object.Value.Chargeback.Value
	if jsonbody.FirstText(c.ID) == "" {
		d.fail(jsonbody.NewMalformed("field_required", "chargeback.id must not be empty"))
	}
	dispute := &payrelayv1.DisputeSnapshot{
		DisputeId: string(c.ID), Status: solidgateDisputes[c.Status], Stage: solidgateStages[c.Type],
		Amount: d.money("chargeback.amount", c.Amount, c.Currency), EvidenceDueAt: d.due(c.Type),
		Reason: payments.PlainText(strings.TrimSpace(strings.TrimSpace(string(c.ReasonCode)) + " " + strings.TrimSpace(string(c.Description)))),
	}
	if dispute.Status == payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED {
		dispute.ProviderStatus = payments.PlainText(string(c.Status))
	}
	if dispute.Stage == stageNotStated && c.Type != "" {
		d.ignored = append(d.ignored, "chargeback.type")
	}
	return dispute
}

// due returns the deadline of the current entry of the flow: the last one of the type of
// the chargeback.
func (d *solidgateDecoder) due(current jsonbody.Text) *timestamppb.Timestamp {
	for _, stage := range slices.Backward(d.object.Value.Flow) {
		if stage.Type != current {
			continue
		}
		due, ok := stage.Deadline.Time(solidgateLayouts...)
		if !ok {
			d.ignored = append(d.ignored, "chargeback_flow.deadline_date")
		}
		return due
	}
	return nil
}

// note returns a note of an event that changes neither an order nor a dispute.
func (d *solidgateDecoder) note() *payrelayv1.Note {
	if d.event == "card_gate.fraud_alert.received" {
		return &payrelayv1.Note{Kind: "fraud_warning"}
	}
	return &payrelayv1.Note{Kind: payments.PlainText(d.event)}
}
