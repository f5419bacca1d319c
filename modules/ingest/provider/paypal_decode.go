package provider

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// paypalDecoder decodes one webhook. The first error counts.
type paypalDecoder struct {
	*paypal
	event    *paypalEvent
	resource *paypalResource
	at       *timestamppb.Timestamp
	updates  []*payrelayv1.Update
	ignored  []string
	err      error
}

// Decode decodes a webhook. The bodies do not state the environment, which the host of
// the certificate proves.
func (p *paypal) Decode(r *Request) (Webhook, error) {
	event := new(paypalEvent)
	if err := jsonbody.Unmarshal(r.Body, event); err != nil {
		return Webhook{}, err
	}
	d := paypalDecoder{paypal: p, event: event, resource: &event.Resource.Value}
	if jsonbody.FirstText(event.ID) == "" || jsonbody.FirstText(event.Type) == "" {
		return Webhook{}, jsonbody.NewMalformed("field_required", "id and event_type are required")
	}
	d.at = d.time("create_time", event.CreateTime)
	if d.at == nil {
		d.at = d.time("resource.create_time", d.resource.CreateTime)
	}
	if d.at == nil {
		return Webhook{}, jsonbody.NewMalformed("field_required", "create_time is required, as a time in RFC 3339")
	}
	if rule, known := paypalEvents[string(event.Type)]; known {
		rule.decode(&d, rule.status)
	} else {
		d.note()
	}
	if d.err != nil {
		return Webhook{}, d.err
	}
	for _, u := range d.updates {
		u.RawBody = r.Body
	}
	return Webhook{Updates: d.updates, Event: string(event.Type), Ignored: d.ignored}, nil
}

func (d *paypalDecoder) fail(code, message string) {
	if d.err == nil {
		d.err = jsonbody.NewMalformed(code, message)
	}
}

// add adds an update about an order id. Part distinguishes the updates of one webhook.
func (d *paypalDecoder) add(orderID, part string) *payrelayv1.Update {
	u := &payrelayv1.Update{EventId: string(d.event.ID), OrderId: orderID, OccurredAt: d.at}
	if part != "" {
		u.EventId += ":" + part
	}
	if strings.ContainsRune(u.GetEventId()+u.GetOrderId(), utf8.RuneError) {
		d.fail("invalid_utf8", "an id is not valid Unicode")
	}
	d.updates = append(d.updates, u)
	return u
}

// addOrder adds an update about an order.
func (d *paypalDecoder) addOrder(orderID, part string, order *payrelayv1.OrderSnapshot) {
	d.add(orderID, part).Subject = &payrelayv1.Update_Order{Order: order}
}

// orderID returns the merchant's order id with the prefix, from the member that the source
// names, or the first of PayPal's ids that is not empty. Those have no prefix, so that a
// dispute's is that of a part of its order.
func (d *paypalDecoder) orderID(custom, invoice jsonbody.Text, otherwise ...jsonbody.Text) string {
	var own jsonbody.Text
	switch d.OrderIDKey {
	case "custom_id":
		own = custom
	case "invoice_id":
		own = invoice
	}
	if id := jsonbody.FirstText(own); id != "" {
		return d.OrderIDPrefix + id
	}
	return jsonbody.FirstText(jsonbody.Text(jsonbody.FirstText(otherwise...)), d.event.ID)
}

// paymentOrder returns the order id of an authorization, capture or refund.
func (d *paypalDecoder) paymentOrder() string {
	r := d.resource
	return d.orderID(r.CustomID, r.InvoiceID, r.Supplement.Value.Related.Value.OrderID, r.captureID(), r.ID)
}

// order decodes a webhook about an order of PayPal, which is a part of that of the
// merchant: another one may be paid. Its purchase units may belong to several orders of
// the merchant.
func (d *paypalDecoder) order(status payrelayv1.OrderStatus) {
	var ids []string
	amounts := make(map[string][]*payrelayv1.Money)
	for _, unit := range d.resource.Units {
		id := d.orderID(unit.CustomID, unit.InvoiceID, d.resource.ID)
		if _, known := amounts[id]; !known {
			ids = append(ids, id)
		}
		amounts[id] = append(amounts[id], d.money(unit.Amount))
	}
	if len(ids) == 0 {
		ids = []string{d.paymentOrder()}
	}
	for i, id := range ids {
		part := ""
		if len(ids) > 1 {
			part = strconv.Itoa(i + 1)
		}
		d.addOrder(id, part, &payrelayv1.OrderSnapshot{
			Status: status, Part: jsonbody.FirstText(d.resource.ID), Amount: total(amounts[id]),
			CreatedAt: d.time("resource.create_time", d.resource.CreateTime),
		})
	}
}

// total returns the sum of amounts, or nil if one is unknown or they do not add up.
func total(amounts []*payrelayv1.Money) *payrelayv1.Money {
	if len(amounts) == 0 || slices.Contains(amounts, nil) {
		return nil
	}
	sum := amounts[0]
	for _, m := range amounts[1:] {
		units := sum.GetMinorUnits() + m.GetMinorUnits()
		if m.GetCurrency() != sum.GetCurrency() || m.GetExponent() != sum.GetExponent() || units < sum.GetMinorUnits() {
			return nil
		}
		sum = &payrelayv1.Money{MinorUnits: units, Currency: sum.Currency, Exponent: sum.Exponent}
	}
	return sum
}

// authorization decodes a webhook about an authorization.
func (d *paypalDecoder) authorization(status payrelayv1.OrderStatus) {
	order := &payrelayv1.OrderSnapshot{Status: status, Part: jsonbody.FirstText(d.resource.ID), Amount: d.money(d.resource.Amount)}
	switch {
	case status != payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED:
		order.Amount = nil
	case d.resource.Status == "PENDING":
		order.Status = payrelayv1.OrderStatus_ORDER_STATUS_UPDATED
	case d.resource.Status == "DENIED":
		order.Status = payrelayv1.OrderStatus_ORDER_STATUS_FAILED
	default:
		order.Authorized = order.Amount
	}
	d.addOrder(d.paymentOrder(), "", order)
}

// capture decodes a webhook about a capture. Its amount is that of the order, unless the
// order was authorized, in which case it may be captured in parts.
func (d *paypalDecoder) capture(status payrelayv1.OrderStatus) {
	amount := d.money(d.resource.Amount)
	order := &payrelayv1.OrderSnapshot{Status: status, Part: jsonbody.FirstText(d.resource.ID)}
	if d.resource.FinalCapture != "false" && d.resource.Supplement.Value.Related.Value.AuthorizationID == "" {
		order.Amount = amount
	}
	switch status {
	case payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS:
		order.Captured = amount
	case payrelayv1.OrderStatus_ORDER_STATUS_REVERSED:
		// The resource may be the reversal, whose amount is not that of the order.
		order.Part, order.Amount = jsonbody.FirstText(d.resource.captureID(), d.resource.ID), nil
	}
	d.addOrder(d.paymentOrder(), "", order)
}

// refund decodes a webhook about a refund or, in some versions, about the capture that
// was refunded. The status of the order does not change.
func (d *paypalDecoder) refund(status payrelayv1.OrderStatus) {
	order := &payrelayv1.OrderSnapshot{Status: status, Part: jsonbody.FirstText(d.resource.ID)}
	amount := d.money(d.resource.Amount)
	switch state := d.resource.Status; {
	case d.event.Kind == "capture", state == "REFUNDED", state == "PARTIALLY_REFUNDED":
		if state == "REFUNDED" {
			order.Status = payrelayv1.OrderStatus_ORDER_STATUS_REFUNDED
			order.Captured = amount
		}
	case d.event.Type == "PAYMENT.REFUND.FAILED", state == "FAILED", state == "CANCELLED":
		if amount != nil {
			amount.MinorUnits = 0
		}
		order.Refunded = amount
	case state == "COMPLETED", state == "":
		order.Refunded = amount
	}
	d.addOrder(d.paymentOrder(), "", order)
}

// dispute decodes a webhook about a dispute: one update for each transaction, because a
// dispute of payrelay belongs to one order. PayPal states what is disputed and refunded
// in all only. Of several transactions, each has its own amount at stake, which is an
// upper bound, and no outcome amount.
func (d *paypalDecoder) dispute(payrelayv1.OrderStatus) {
	var transactions []paypalTransaction
	var parts []string // what distinguishes the transactions
	for i, t := range d.resource.Transactions {
		if part := jsonbody.FirstText(t.id(), jsonbody.Text("#"+strconv.Itoa(i+1))); !slices.Contains(parts, part) {
			transactions, parts = append(transactions, t), append(parts, part)
		}
	}
	if len(transactions) == 0 {
		transactions = []paypalTransaction{{}}
	}
	for i, t := range transactions {
		dispute, part := d.disputeSnapshot(), ""
		if len(transactions) > 1 {
			part = parts[i]
			dispute.DisputeId += ":" + part
			dispute.Amount, dispute.OutcomeAmount = d.money(t.GrossPaid), nil
		}
		orderID := d.orderID(t.Custom, t.Invoice, t.id(), jsonbody.Text(dispute.DisputeId))
		d.add(orderID, part).Subject = &payrelayv1.Update_Dispute{Dispute: dispute}
	}
}

// disputeSnapshot returns the dispute as a whole.
func (d *paypalDecoder) disputeSnapshot() *payrelayv1.DisputeSnapshot {
	r := d.resource
	dispute := &payrelayv1.DisputeSnapshot{
		DisputeId: jsonbody.FirstText(r.DisputeID, r.ID), Reason: payments.PlainText(string(r.Reason)), Amount: d.money(r.DisputeAmount),
		Stage: paypalStages[r.Stage], Status: paypalDisputeStatus[r.Status], EvidenceDueAt: d.time("resource.seller_response_due_date", r.ResponseDue),
	}
	if dispute.Stage == stageNotStated && r.Stage != "" {
		d.ignore("resource.dispute_life_cycle_stage")
	}
	word := r.Status
	if word == "RESOLVED" {
		dispute.Status = paypalOutcome[r.Outcome.Value.Code]
		word += ":" + r.Outcome.Value.Code
	}
	switch dispute.Status {
	case payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED:
		dispute.ProviderStatus = payments.PlainText(string(word))
	case disputeLost:
		dispute.OutcomeAmount = d.money(r.Outcome.Value.Refunded)
	}
	if jsonbody.FirstText(word) == "" {
		d.fail("field_required", "resource.status of a dispute is required")
	}
	return dispute
}

// id returns the seller's id of the transaction, which is that of the capture.
func (t paypalTransaction) id() jsonbody.Text {
	return jsonbody.Text(jsonbody.FirstText(t.SellerID, t.BuyerID))
}

// note decodes a webhook whose event type changes neither an order nor a dispute.
func (d *paypalDecoder) note() {
	r := d.resource
	custom, invoice, payment := r.CustomID, r.InvoiceID, jsonbody.Text("")
	if len(r.Units) == 1 {
		custom, invoice = cmp.Or(custom, r.Units[0].CustomID), cmp.Or(invoice, r.Units[0].InvoiceID)
	}
	if len(r.Transactions) == 1 {
		custom, invoice, payment = r.Transactions[0].Custom, r.Transactions[0].Invoice, r.Transactions[0].id()
	}
	id := d.orderID(custom, invoice, r.Supplement.Value.Related.Value.OrderID, r.OrderID, payment, r.captureID(), r.ID, r.DisputeID)
	d.add(id, "").Subject = &payrelayv1.Update_Note{Note: &payrelayv1.Note{
		Kind: payments.PlainText(string(d.event.Type)), Text: payments.PlainText(string(d.event.Summary)), DisputeId: jsonbody.FirstText(r.DisputeID),
	}}
}

func (d *paypalDecoder) ignore(path string) {
	if !slices.Contains(d.ignored, path) {
		d.ignored = append(d.ignored, path)
	}
}

// time returns a time in RFC 3339, or nil if there is none. One that cannot be read is
// ignored.
func (d *paypalDecoder) time(path string, text jsonbody.Text) *timestamppb.Timestamp {
	if text == "" {
		return nil
	}
	t, err := payments.ParseTime(string(text))
	if err != nil || t.Unix() < 0 || t.UTC().Year() > 9999 {
		d.ignore(path)
		return nil
	}
	return timestamppb.New(t.Truncate(time.Microsecond))
}

// money returns an amount, or nil if there is none.
func (d *paypalDecoder) money(m jsonbody.Object[paypalMoney]) *payrelayv1.Money {
	amount, err := m.Value.money()
	if err != nil && d.err == nil {
		d.err = err
	}
	return amount
}
