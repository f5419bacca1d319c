package simulate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// stripeVersion is the release of the API in the events.
const stripeVersion = "2026-10-28.endive"

// stripeEvent returns the event of a step. A repeated delivery differs only in
// pending_webhooks, as at Stripe.
func stripeEvent(l *life, i int, again bool) event {
	s := l.scenario.steps[i]
	at := l.at(s)
	id := "evt_3" + l.ref(fmt.Sprint("event ", i), alphanumeric, 23)
	if strings.HasPrefix(s.event, "v1.") {
		return event{id: id, kind: s.event, at: at, body: stripeThin(l, s, id)}
	}
	data := object{"object": stripeObject(l, s, at.Unix())}
	if before := stripeBefore(s, l); before != nil {
		data["previous_attributes"] = before
	}
	pending := 2
	if again {
		pending = 1
	}
	request := object{"id": nil, "idempotency_key": nil}
	if strings.HasPrefix(s.event, "payment_intent.") {
		request = object{"id": "req_" + l.ref(id, alphanumeric, 14), "idempotency_key": l.uuid(id)}
	}
	return event{id: id, kind: s.event, at: at, body: object{
		"id": id, "object": "event", "api_version": stripeVersion, "created": at.Unix(), "data": data, "livemode": l.live,
		"pending_webhooks": pending, "request": request, "type": s.event,
	}}
}

// stripeThin returns a thin event, which has no object but names it.
func stripeThin(l *life, s step, id string) object {
	meter := "mtr_" + l.ref("meter", alphanumeric, 14)
	return object{
		"id": id, "object": "v2.core.event", "context": nil, "created": l.at(s).UTC().Format("2006-01-02T15:04:05.000Z"), "livemode": l.live,
		"reason": nil, "related_object": object{"id": meter, "type": "billing.meter", "url": "/v1/billing/meters/" + meter}, "type": s.event,
	}
}

// stripeObject returns the object that an event is about.
func stripeObject(l *life, s step, created int64) object {
	switch kind, _, _ := strings.Cut(s.event, "."); {
	case strings.HasPrefix(s.event, "charge.dispute."):
		return stripeDispute(l, s)
	case kind == "charge":
		return stripeCharge(l, s)
	case kind == "refund":
		return stripeRefund(l, s)
	case kind == "product":
		return object{
			"id": "prod_" + l.ref("product", alphanumeric, 14), "object": "product", "active": true, "created": created, "default_price": nil,
			"description": nil, "images": []string{}, "livemode": l.live, "marketing_features": []string{}, "metadata": object{},
			"name": "Example", "shippable": nil, "tax_code": nil, "type": "service", "unit_label": nil, "updated": created, "url": nil,
		}
	case kind == "radar":
		return object{
			"id": "issfr_1" + l.ref("warning", alphanumeric, 23), "object": "radar.early_fraud_warning", "actionable": true,
			"charge": stripeChargeID(l, s), "created": created, "fraud_type": "unauthorized_use_of_card", "livemode": l.live,
			"payment_intent": stripeIntentID(l, s),
		}
	default:
		return stripeIntent(l, s)
	}
}

// stripeBefore returns the members that the event has changed, or nil.
func stripeBefore(s step, l *life) object {
	if _, ok := s.fields["before"]; ok {
		return object{"amount_refunded": l.units(s, "before"), "refunded": false}
	}
	if s.event == "charge.dispute.updated" {
		return object{"evidence_details": object{"submission_count": 0}}
	}
	return nil
}

func stripeIntentID(l *life, s step) string {
	return "pi_3" + l.ref("intent "+s.field("intent", "1"), alphanumeric, 23)
}

func stripeChargeID(l *life, s step) string {
	prefix := "ch_3"
	if s.field("method", "card") != "card" {
		prefix = "py_3" // a payment that is not by card
	}
	return prefix + l.ref("charge "+s.field("intent", "1")+s.field("attempt", "1"), alphanumeric, 23)
}

func stripeDisputeID(l *life) string { return "du_1" + l.ref("dispute", alphanumeric, 23) }

func stripeMetadata(l *life) object {
	return object{l.metadataKey: l.orderID, "cart": l.uuid("cart")}
}

func stripeIntent(l *life, s step) object {
	amount := l.units(s, "amount")
	var charge any
	if l.units(s, "amount_received")+l.units(s, "amount_capturable") > 0 {
		charge = stripeChargeID(l, s)
	}
	capture := "automatic_async"
	if l.units(s, "amount_capturable") > 0 {
		capture = "manual"
	}
	intent := object{
		"id": stripeIntentID(l, s), "object": "payment_intent", "amount": amount, "amount_capturable": l.units(s, "amount_capturable"),
		"amount_details": object{"tip": object{}}, "amount_received": l.units(s, "amount_received"), "application": nil,
		"application_fee_amount": nil, "automatic_payment_methods": object{"allow_redirects": "always", "enabled": true},
		"canceled_at": nil, "cancellation_reason": nil, "capture_method": capture,
		"client_secret": stripeIntentID(l, s) + "_secret_" + l.ref("client secret", alphanumeric, 25), "confirmation_method": "automatic",
		"created": l.began.Unix(), "currency": s.fields["currency"], "customer": "cus_" + l.ref("customer", alphanumeric, 14),
		"description": "Order " + l.orderID, "excluded_payment_method_types": nil, "last_payment_error": nil, "latest_charge": charge,
		"livemode": l.live, "metadata": stripeMetadata(l), "next_action": nil, "on_behalf_of": nil,
		"payment_method": "pm_1" + l.ref("method", alphanumeric, 23), "payment_method_configuration_details": nil,
		"payment_method_options": object{"card": object{"installments": nil, "mandate_options": nil, "network": nil, "request_three_d_secure": "automatic"}},
		"payment_method_types":   []string{s.field("method", "card")}, "processing": nil, "receipt_email": nil, "review": nil,
		"setup_future_usage": nil, "shipping": nil, "source": nil, "statement_descriptor": nil, "statement_descriptor_suffix": nil,
		"status": s.fields["status"], "transfer_data": nil, "transfer_group": nil,
	}
	if code := s.fields["error"]; code != "" {
		intent["last_payment_error"] = object{
			"charge": "ch_3" + l.ref("charge "+s.field("intent", "1")+"1", alphanumeric, 23), "code": code, "decline_code": "generic_decline",
			"doc_url": "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(code, "_", "-"), "message": "Your card was declined.", "type": "card_error",
		}
		intent["payment_method"] = nil
	}
	if reason := s.fields["cancellation"]; reason != "" {
		intent["canceled_at"], intent["cancellation_reason"] = l.at(s).Unix(), reason
	}
	return intent
}

func stripeCharge(l *life, s step) object {
	id, captured := stripeChargeID(l, s), l.units(s, "amount_captured")
	refunded := l.units(s, "amount_refunded")
	succeeded := s.fields["status"] == "succeeded"
	charge := object{
		"id": id, "object": "charge", "amount": l.units(s, "amount"), "amount_captured": captured, "amount_refunded": refunded,
		"application": nil, "application_fee": nil, "application_fee_amount": nil, "balance_transaction": "txn_3" + l.ref(id+"b", alphanumeric, 23),
		"billing_details": object{
			"address": object{"city": "Springfield", "country": "US", "line1": "1 Main Street", "line2": nil, "postal_code": "62701", "state": "IL"},
			"email":   "buyer@example.com", "name": "Jenny Rosen", "phone": nil, "tax_id": nil,
		},
		"calculated_statement_descriptor": "SHOP.EXAMPLE", "captured": captured > 0, "created": l.began.Unix(), "currency": s.fields["currency"],
		"customer": "cus_" + l.ref("customer", alphanumeric, 14), "description": "Order " + l.orderID, "disputed": false,
		"failure_balance_transaction": nil, "failure_code": nil, "failure_message": nil, "fraud_details": object{}, "livemode": l.live,
		"metadata": stripeMetadata(l), "on_behalf_of": nil,
		"outcome": object{
			"advice_code": nil, "network_advice_code": nil, "network_decline_code": nil, "network_status": "approved_by_network", "reason": nil,
			"risk_level": "normal", "risk_score": 27, "seller_message": "Payment complete.", "type": "authorized",
		},
		"paid": succeeded, "payment_intent": stripeIntentID(l, s), "payment_method": "pm_1" + l.ref("method", alphanumeric, 23),
		"payment_method_details": object{"type": s.field("method", "card"), s.field("method", "card"): object{
			"brand": "visa", "checks": object{"address_line1_check": "pass", "address_postal_code_check": "pass", "cvc_check": "pass"},
			"country": "US", "exp_month": 8, "exp_year": 2031, "funding": "credit", "last4": "4242", "network": "visa", "three_d_secure": nil, "wallet": nil,
		}},
		"radar_options": object{}, "receipt_email": nil, "receipt_number": nil,
		"receipt_url": "https://pay.stripe.com/receipts/payment/" + l.ref("receipt", alphanumeric, 60), "refunded": refunded > 0 && refunded == captured,
		"review": nil, "shipping": nil, "source": nil, "source_transfer": nil, "statement_descriptor": nil, "statement_descriptor_suffix": nil,
		"status": s.fields["status"], "transfer_data": nil, "transfer_group": nil,
	}
	if code := s.fields["failure"]; code != "" {
		charge["failure_code"], charge["failure_message"] = code, "The payment did not go through."
		charge["outcome"] = object{"network_status": "declined_by_network", "reason": "generic_decline", "risk_level": "normal", "seller_message": "The bank did not return any further details with this decline.", "type": "issuer_declined"}
	}
	if s.fields["returned"] != "" {
		charge["failure_balance_transaction"] = "txn_3" + l.ref(id+"f", alphanumeric, 23)
	}
	return charge
}

func stripeRefund(l *life, s step) object {
	id := "re_3" + l.ref("refund "+s.field("refund", "1"), alphanumeric, 23)
	return object{
		"id": id, "object": "refund", "amount": l.units(s, "amount"), "balance_transaction": "txn_3" + l.ref(id, alphanumeric, 23),
		"charge": stripeChargeID(l, s), "created": l.began.Unix(), "currency": s.fields["currency"],
		"destination_details":         object{"card": object{"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}, "type": "card"},
		"failure_balance_transaction": "txn_3" + l.ref(id+"f", alphanumeric, 23), "failure_reason": "expired_or_canceled_card", "metadata": object{},
		"payment_intent": stripeIntentID(l, s), "reason": "requested_by_customer", "receipt_number": nil, "source_transfer_reversal": nil,
		"status": s.fields["status"], "transfer_reversal": nil,
	}
}

// stripeEvidence has the members of a dispute's evidence, which are null before evidence
// is submitted.
var stripeEvidence = strings.Fields(`access_activity_log billing_address cancellation_policy cancellation_policy_disclosure
	cancellation_rebuttal customer_communication customer_email_address customer_name customer_purchase_ip customer_signature
	duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy
	refund_policy_disclosure refund_refusal_explanation service_date service_documentation shipping_address shipping_carrier
	shipping_date shipping_documentation shipping_tracking_number uncategorized_file uncategorized_text`)

func stripeDispute(l *life, s step) object {
	evidence := object{"enhanced_evidence": object{}}
	for _, member := range stripeEvidence {
		evidence[member] = nil
	}
	var due any
	if at, ok := l.due(s); ok && s.fields["due"] != "0" {
		due = at.Unix()
	}
	reviewed := strings.HasSuffix(s.fields["status"], "under_review")
	transactions := []object{}
	if s.event == "charge.dispute.funds_withdrawn" || s.event == "charge.dispute.funds_reinstated" {
		amount := l.units(s, "amount")
		transactions = append(transactions, object{
			"id": "txn_1" + l.ref(s.event, alphanumeric, 23), "object": "balance_transaction", "amount": -amount, "available_on": l.at(s).Unix(),
			"created": l.at(s).Unix(), "currency": s.fields["currency"], "description": "Chargeback withdrawal", "exchange_rate": nil,
			"fee": 1500, "net": -amount - 1500, "reporting_category": "dispute", "source": stripeDisputeID(l), "status": "pending", "type": "adjustment",
		})
	}
	submissions := 0
	if reviewed {
		submissions = 1
	}
	return object{
		"id": stripeDisputeID(l), "object": "dispute", "amount": l.units(s, "amount"), "balance_transaction": nil, "balance_transactions": transactions,
		"charge": stripeChargeID(l, s), "created": l.began.Unix(), "currency": s.fields["currency"], "enhanced_eligibility_types": []string{},
		"evidence": evidence, "evidence_details": object{
			"due_by": due, "enhanced_eligibility": object{}, "has_evidence": reviewed, "past_due": false, "submission_count": submissions,
		},
		"is_charge_refundable": false, "livemode": l.live, "metadata": object{}, "payment_intent": stripeIntentID(l, s),
		"payment_method_details": object{"type": "card", "card": object{"brand": "visa", "case_type": "chargeback", "network_reason_code": "10.4"}},
		"reason":                 s.field("reason", "fraudulent"), "status": s.fields["status"],
	}
}

// stripeRequest signs an event as Stripe does: the hex HMAC-SHA256 of time and body. The
// key is the whole secret, with its prefix.
func stripeRequest(_ *credentials, secret string, events []event, sent time.Time) (request, error) {
	body := indented(events[0].body)
	header := make(http.Header)
	header.Set("Stripe-Signature", stripeSignature(secret, sent, body))
	header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	return request{header: header, body: body}, nil
}

func stripeSignature(secret string, sent time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", sent.Unix(), body) // a hash does not return errors
	return fmt.Sprintf("t=%d,v1=%s", sent.Unix(), hex.EncodeToString(mac.Sum(nil)))
}
