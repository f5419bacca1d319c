package simulate

import (
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"time"
)

// paypalTime is the form of the times in resources; those of events have milliseconds.
const (
	paypalTime      = "2006-01-02T15:04:05Z"
	paypalTimeMilli = "2006-01-02T15:04:05.000Z"
)

// paypalEvent returns the event of a step. Every delivery of it has the same body.
func paypalEvent(l *life, i int, _ bool) event {
	s := l.scenario.steps[i]
	at := l.at(s)
	id := "WH-" + l.ref(fmt.Sprint("event ", i), capitals, 17) + "-" + l.ref(fmt.Sprint("event+", i), capitals, 17)
	kind, resource := paypalResource(l, s)
	self := paypalHost(l) + "/v1/notifications/webhooks-events/" + id
	body := object{
		"id": id, "event_version": "1.0", "create_time": at.UTC().Format(paypalTimeMilli), "resource_type": kind, "resource_version": "2.0",
		"event_type": s.event, "summary": paypalSummary(l, s), "resource": resource,
		"links": []object{paypalLink(self, "self", "GET"), paypalLink(self+"/resend", "resend", "POST")},
	}
	return event{id: id, kind: s.event, at: at, body: body}
}

func paypalHost(l *life) string {
	if l.live {
		return "https://api.paypal.com"
	}
	return "https://api.sandbox.paypal.com"
}

func paypalLink(href, rel, method string) object {
	return object{"href": href, "rel": rel, "method": method}
}

func paypalSummary(l *life, s step) string {
	amount := l.decimal(s, "amount") + " " + s.fields["currency"]
	switch {
	case strings.HasPrefix(s.event, "CUSTOMER.DISPUTE."):
		return "A dispute changed with Case # " + paypalCaseID(l)
	case s.event == "CHECKOUT.ORDER.APPROVED":
		return "An order has been approved by buyer"
	default:
		return "Payment event for $ " + amount
	}
}

// paypalDisputeID returns the id of the dispute at payrelay, which is that of the case
// and, if the case is about several transactions, of the first of them.
func paypalDisputeID(l *life) string {
	for _, s := range l.scenario.steps {
		if s.fields["transactions"] != "" {
			return paypalCaseID(l) + ":" + paypalID(l, "c1")
		}
	}
	return paypalCaseID(l)
}

func paypalCaseID(l *life) string {
	return "PP-R-" + l.ref("dispute", "ABCDEFGHJKLMNPQRSTUVWXYZ", 3) + "-" + l.ref("dispute", digits, 8)
}

func paypalOrderID(l *life) string { return l.ref("order", capitals, 17) }

func paypalID(l *life, label string) string { return l.ref("id "+label, capitals, 17) }

func paypalMoney(value, currency string) object {
	return object{"currency_code": currency, "value": value}
}

// paypalResource returns the type and the content of the resource that an event is about.
func paypalResource(l *life, s step) (kind string, _ object) {
	switch {
	case strings.HasPrefix(s.event, "CUSTOMER.DISPUTE."):
		return "dispute", paypalDispute(l, s)
	case strings.HasPrefix(s.event, "CHECKOUT.ORDER."):
		return "checkout-order", paypalOrder(l, s)
	case strings.HasPrefix(s.event, "PAYMENT.AUTHORIZATION."):
		return "authorization", paypalPayment(l, s, "authorizations", "void")
	case s.event == "PAYMENT.CAPTURE.REFUNDED" || strings.HasPrefix(s.event, "PAYMENT.REFUND."):
		return "refund", paypalRefund(l, s)
	default:
		return "capture", paypalPayment(l, s, "captures", "refund")
	}
}

func paypalOrder(l *life, s step) object {
	amount := paypalMoney(l.decimal(s, "amount"), s.fields["currency"])
	self := paypalHost(l) + "/v2/checkout/orders/" + paypalOrderID(l)
	return object{
		"id": paypalOrderID(l), "intent": "CAPTURE", "status": "APPROVED", "create_time": l.began.UTC().Format(paypalTime),
		"purchase_units": []object{{
			"reference_id": "default", "amount": amount, "custom_id": l.orderID, "invoice_id": l.orderID,
			"payee": object{"email_address": "shop@example.com", "merchant_id": "MERCHANT7EXAMPLE"}, "shipping": paypalShipping(),
		}},
		"payer": object{"name": object{"given_name": "Jane", "surname": "Doe"}, "email_address": "buyer@example.com", "payer_id": l.ref("payer", capitals, 13)},
		"links": []object{paypalLink(self, "self", "GET"), paypalLink(self+"/capture", "capture", "POST")},
	}
}

func paypalShipping() object {
	return object{"name": object{"full_name": "Jane Doe"}, "address": object{
		"address_line_1": "1 Main Street", "admin_area_2": "San Jose", "admin_area_1": "CA", "postal_code": "95131", "country_code": "US",
	}}
}

// paypalPayment returns an authorization or a capture. Its status is the last word of the
// event.
func paypalPayment(l *life, s step, collection, action string) object {
	id, currency := paypalID(l, s.fields["id"]), s.fields["currency"]
	amount := paypalMoney(l.decimal(s, "amount"), currency)
	self := paypalHost(l) + "/v2/payments/" + collection + "/" + id
	status := s.event[strings.LastIndex(s.event, ".")+1:]
	if status == "DENIED" {
		status = "DECLINED"
	}
	payment := object{
		"id": id, "status": status, "amount": amount, "custom_id": l.orderID, "invoice_id": l.orderID,
		"create_time": l.began.UTC().Format(paypalTime), "update_time": l.at(s).UTC().Format(paypalTime),
		"payee":              object{"email_address": "shop@example.com", "merchant_id": "MERCHANT7EXAMPLE"},
		"seller_protection":  object{"status": "ELIGIBLE", "dispute_categories": []string{"ITEM_NOT_RECEIVED", "UNAUTHORIZED_TRANSACTION"}},
		"supplementary_data": object{"related_ids": object{"order_id": paypalOrderID(l)}},
		"links":              []object{paypalLink(self, "self", "GET"), paypalLink(self+"/"+action, action, "POST"), paypalLink(paypalHost(l)+"/v2/checkout/orders/"+paypalOrderID(l), "up", "GET")},
	}
	if collection == "captures" {
		payment["final_capture"] = true
		if status == "COMPLETED" {
			zero := l.decimal(s, "amount")
			payment["seller_receivable_breakdown"] = object{
				"gross_amount": amount, "net_amount": amount, "paypal_fee": paypalMoney(strings.Map(toZero, zero), currency),
			}
		}
	}
	if status == "PENDING" {
		payment["status_details"] = object{"reason": "PENDING_REVIEW"}
	}
	return payment
}

// toZero replaces a digit by 0.
func toZero(r rune) rune {
	if r >= '0' && r <= '9' {
		return '0'
	}
	return r
}

func paypalRefund(l *life, s step) object {
	id, currency := paypalID(l, s.fields["id"]), s.fields["currency"]
	amount := paypalMoney(l.decimal(s, "amount"), currency)
	status := "COMPLETED"
	if s.event == "PAYMENT.REFUND.FAILED" {
		status = "FAILED"
	}
	self := paypalHost(l) + "/v2/payments/refunds/" + id
	return object{
		"id": id, "status": status, "amount": amount, "custom_id": l.orderID, "invoice_id": l.orderID, "note_to_payer": "Sorry",
		"create_time": l.at(s).UTC().Format(paypalTime), "update_time": l.at(s).UTC().Format(paypalTime),
		"payer": object{"email_address": "shop@example.com", "merchant_id": "MERCHANT7EXAMPLE"},
		"seller_payable_breakdown": object{
			"gross_amount": amount, "net_amount": amount, "paypal_fee": paypalMoney(strings.Map(toZero, l.decimal(s, "amount")), currency),
			"total_refunded_amount": paypalMoney(l.decimal(s, "total"), currency),
		},
		"links": []object{paypalLink(self, "self", "GET"), paypalLink(paypalHost(l)+"/v2/payments/captures/"+paypalID(l, "c1"), "up", "GET")},
	}
}

func paypalDispute(l *life, s step) object {
	currency := s.fields["currency"]
	self := paypalHost(l) + "/v1/customer/disputes/" + paypalCaseID(l)
	transactions := []object{paypalTransaction(l, s, "c1", l.orderID)}
	if s.fields["transactions"] != "" { // the other one is of another order
		transactions = append(transactions, paypalTransaction(l, s, "c2", l.orderID+"-other"))
	}
	dispute := object{
		"dispute_id": paypalCaseID(l), "create_time": l.began.UTC().Format(paypalTimeMilli), "update_time": l.at(s).UTC().Format(paypalTimeMilli),
		"disputed_transactions": transactions, "reason": s.field("reason", "MERCHANDISE_OR_SERVICE_NOT_RECEIVED"), "status": s.fields["status"],
		"dispute_amount": paypalMoney(l.decimal(s, "amount"), currency), "dispute_life_cycle_stage": s.fields["stage"],
		"dispute_channel": "INTERNAL", "messages": []object{{"posted_by": "BUYER", "time_posted": l.at(s).UTC().Format(paypalTimeMilli), "content": "Where is my order?"}},
		"links": []object{paypalLink(self, "self", "GET"), paypalLink(self+"/provide-evidence", "provide_evidence", "POST")},
	}
	if due, ok := l.due(s); ok {
		dispute["seller_response_due_date"] = due.UTC().Format(paypalTimeMilli)
	}
	if outcome := s.fields["outcome"]; outcome != "" {
		result := object{"outcome_code": outcome}
		if refunded := l.decimal(s, "refunded"); refunded != "" {
			result["amount_refunded"] = paypalMoney(refunded, currency)
		}
		dispute["dispute_outcome"] = result
	}
	return dispute
}

func paypalTransaction(l *life, s step, capture, orderID string) object {
	gross := l.decimal(s, "gross")
	if gross == "" {
		gross = l.decimal(s, "amount")
	}
	return object{
		"seller_transaction_id": paypalID(l, capture), "buyer_transaction_id": l.ref("buyer "+capture, capitals, 17),
		"create_time": l.began.UTC().Format(paypalTimeMilli), "transaction_status": "COMPLETED",
		"gross_amount": paypalMoney(gross, s.fields["currency"]), "invoice_number": orderID, "custom": orderID,
		"buyer": object{"name": "Jane Doe"}, "seller": object{"email": "shop@example.com", "merchant_id": "MERCHANT7EXAMPLE", "name": "Example Shop"},
		"items": []object{{"item_id": "SKU-1", "item_quantity": "1"}}, "seller_protection_eligible": true,
	}
}

// paypalRequest signs an event as PayPal does: with a key whose certificate the receiver
// gets from the URL in a header.
func paypalRequest(k *credentials, _ string, events []event, sent time.Time) (request, error) {
	body := compact(events[0].body)
	id, at := newUUID(), sent.UTC().Format(paypalTime)
	signature, err := k.certificates.sign(paypalSigned(id, at, k.WebhookID, body))
	if err != nil {
		return request{}, err
	}
	header := make(http.Header)
	for name, value := range map[string]string{
		"Paypal-Transmission-Id": id, "Paypal-Transmission-Time": at, "Paypal-Transmission-Sig": signature,
		"Paypal-Cert-Url": k.certificates.url, "Paypal-Auth-Algo": "SHA256withRSA", "User-Agent": "PayPal/AUHR-214.0-58843650",
	} {
		header.Set(name, value)
	}
	return request{header: header, body: body}, nil
}

// paypalSigned returns the text that is signed. The checksum of the body is in decimal.
func paypalSigned(id, at, webhookID string, body []byte) string {
	return fmt.Sprintf("%s|%s|%s|%d", id, at, webhookID, crc32.ChecksumIEEE(body))
}
