package simulate

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// solidgateTime is the form of the times in bodies. They are in UTC.
const solidgateTime = "2006-01-02 15:04:05"

// solidgateEvent returns the event of a step. Every delivery of it has the same body.
func solidgateEvent(l *life, i int, _ bool) event {
	s := l.scenario.steps[i]
	var body object
	switch s.event {
	case "card_gate.chargeback.received":
		body = solidgateChargeback(l, s)
	case "card_gate.fraud_alert.received":
		body = object{"order": solidgateOrder(l, s, "settle_ok"), "fraud_alert": object{
			"id": solidgateNumber(l, "alert"), "fraud_amount": l.units(s, "amount"), "fraud_currency": s.fields["currency"],
			"fraud_report_date": l.at(s).UTC().Format(solidgateTime), "fraud_type": "Card not present fraud", "card_scheme": "VISA",
		}}
	default:
		body = solidgateOrderUpdate(l, s)
	}
	return event{id: l.uuid(fmt.Sprint("event ", i)), kind: s.event, at: l.at(s), body: body}
}

func solidgateNumber(l *life, label string) int64 {
	n, _ := strconv.ParseInt("1"+l.ref(label, digits, 7), 10, 64) // digits only
	return n
}

func solidgateDisputeID(l *life) string { return strconv.FormatInt(solidgateNumber(l, "dispute"), 10) }

func solidgateOrder(l *life, s step, status string) object {
	return object{
		"order_id": l.orderID, "psp_order_id": "psp-" + l.uuid("psp order"), "provider_payment_id": l.ref("payment", digits, 16),
		"amount": l.units(s, "amount"), "currency": s.fields["currency"], "processing_amount": l.units(s, "amount"),
		"processing_currency": s.fields["currency"], "refunded_amount": l.units(s, "refunded"), "status": status,
		"order_description": "Premium package", "payment_type": "1-click", "payment_method": "card", "customer_account_id": "customer-" + l.ref("customer", digits, 8),
		"customer_email": "buyer@example.com", "descriptor": "SHOP.EXAMPLE", "mid": "mid_example", "ip_address": "198.51.100.7",
		"traffic_source": "web", "fraudulent": false,
	}
}

func solidgateOrderUpdate(l *life, s step) object {
	status, at := s.fields["status"], l.at(s).UTC().Format(solidgateTime)
	operation, result := "auth", "success"
	switch status {
	case "settle_ok":
		operation = "settle"
	case "void_ok":
		operation = "void"
	case "refunded":
		operation = "refund"
	case "auth_failed":
		result = "fail"
	case "processing":
		result = "processing"
	case "3ds_verify":
		result = "verify"
	}
	id := l.uuid("transaction " + s.after.String())
	transaction := object{
		"id": id, "operation": operation, "status": result, "amount": l.units(s, "amount"), "currency": s.fields["currency"], "created_at": at, "updated_at": at,
		"authorization_type": "final", "descriptor": "SHOP.EXAMPLE", "arn_code": l.ref("arn", digits, 23), "rrn_code": l.ref("rrn", digits, 12),
		"card": object{
			"bin": "411111", "brand": "VISA", "card_exp_month": "08", "card_exp_year": 2031, "card_holder": "Jane Doe", "card_id": l.uuid("card"),
			"card_type": "CREDIT", "country": "USA", "bank": "Example Bank", "number": "411111XXXXXX1111", "is_reloadable": false,
			"card_token": object{"token": l.ref("token", alphanumeric, 60), "original_payment_method": "card"},
		},
		"billing_details": object{"address": "1 Main Street", "city": "Springfield", "country": "USA", "state": "IL", "zip": "62701"},
	}
	if operation == "refund" {
		transaction["amount"], transaction["refund_reason_code"] = l.units(s, "refunded"), "0021"
	}
	order := solidgateOrder(l, s, status)
	order["created_at"], order["updated_at"] = l.began.UTC().Format(solidgateTime), at
	body := object{
		"order": order, "transaction": transaction, "transactions": object{id: transaction},
		"three_ds": object{"eci": "05", "flow": "frictionless"}, "device_info": object{"user_agent": "Mozilla/5.0"},
		"order_metadata": object{"cart": l.uuid("cart")}, "payment_adviser": object{"advise": "try_again"},
	}
	if code := s.fields["error"]; code != "" {
		body["error"] = object{"code": code, "messages": []string{"Do not honor"}, "recommended_message_for_user": "Please contact your bank."}
	}
	return body
}

// solidgateChargeback returns a chargeback with its stages so far, the last of which is
// the current one.
func solidgateChargeback(l *life, s step) object {
	currency, at := s.fields["currency"], l.at(s).UTC().Format(solidgateTime)
	opened := l.at(s)
	var flow []object
	for _, earlier := range l.scenario.steps {
		if earlier.event != s.event || earlier.after > s.after {
			continue
		}
		if len(flow) == 0 {
			opened = l.at(earlier)
		}
		stage := object{
			"id": solidgateNumber(l, "flow "+earlier.fields["type"]), "type": earlier.fields["type"], "status": earlier.fields["status"],
			"date": l.at(earlier).UTC().Format(solidgateTime), "updated_date": l.at(earlier).UTC().Format(solidgateTime),
			"settlement_date": l.at(earlier).UTC().Format(solidgateTime), "amount": l.units(earlier, "amount"), "dispute_amount": l.units(earlier, "amount"),
			"currency": currency, "represented_by": "merchant", "arn_code": l.ref("arn", digits, 23), "rrn_code": l.ref("rrn", digits, 12),
		}
		if due, ok := l.due(earlier); ok {
			stage["deadline_date"] = due.UTC().Format(solidgateTime)
		}
		if last := len(flow) - 1; last >= 0 && flow[last]["type"] == stage["type"] {
			stage["date"] = flow[last]["date"]
			flow[last] = stage
		} else {
			flow = append(flow, stage)
		}
	}
	return object{
		"order": object{"order_id": l.orderID, "amount": l.units(s, "amount"), "currency": currency, "status": "settle_ok"},
		"chargeback": object{
			"id": solidgateNumber(l, "dispute"), "dispute_date": opened.UTC().Format(solidgateTime), "settlement_date": at,
			"amount": l.units(s, "amount"), "currency": currency, "type": s.fields["type"], "status": s.fields["status"],
			"reason_group": "Fraud", "reason_code": "10.4", "reason_description": "Fraud - card absent environment",
			"available_actions": []string{"provide_evidence"},
		},
		"chargeback_flow": flow,
	}
}

// solidgateRequest signs an event as Solidgate does. No time is signed.
func solidgateRequest(k *credentials, secret string, events []event, _ time.Time) (request, error) {
	e := events[0]
	body := compact(e.body)
	header := make(http.Header)
	for name, value := range map[string]string{
		"Merchant": k.PublicKey, "Signature": solidgateSignature(k.PublicKey, secret, body), "Solidgate-Event-Id": e.id,
		"Solidgate-Event-Created-At": e.at.UTC().Format("2006-01-02T15:04:05.000Z"), "Solidgate-Event-Type": e.kind,
	} {
		header.Set(name, value)
	}
	return request{header: header, body: body}, nil
}

// solidgateSignature returns the base64 of the hex text of an HMAC-SHA512 of the body
// between two copies of the public key.
func solidgateSignature(publicKey, secret string, body []byte) string {
	mac := hmac.New(sha512.New, []byte(secret))
	fmt.Fprintf(mac, "%s%s%s", publicKey, body, publicKey) // a hash does not return errors
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(mac.Sum(nil))))
}
