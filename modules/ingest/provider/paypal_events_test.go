package provider

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	naive "github.com/payrelay/payrelay/modules/payments/oracle"
)

func newTestPayPal(t testing.TB, key string) Adapter {
	t.Helper()
	adapter, err := New(Settings{Provider: PayPal, Environment: Live, WebhookID: testWebhookID, OrderIDKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return adapter
}

// paypalEventBody returns a webhook. The resource is in JSON.
func paypalEventBody(id, kind, at, resource string) string {
	return fmt.Sprintf(`{"id":%q,"event_type":%q,"create_time":%q,"resource":%s}`, id, kind, at, resource)
}

// decodePayPal returns the updates of a webhook, which must be valid.
func decodePayPal(t testing.TB, adapter Adapter, body string) []*payrelayv1.Update {
	t.Helper()
	w, err := adapter.Decode(&Request{Body: []byte(body)})
	if err != nil {
		t.Fatalf("Decode(%s) = %v, want no error", body, err)
	}
	for _, u := range w.Updates {
		u.Provider = "paypal"
		if err := payments.Validate(u); err != nil {
			t.Fatalf("an update of Decode(%s) is not valid: %v", body, err)
		}
		if string(u.GetRawBody()) != body {
			t.Errorf("RawBody = %s, want the body", u.GetRawBody())
		}
	}
	if w.Environment != "" {
		t.Errorf("Environment of %s = %q, want none", body, w.Environment)
	}
	return w.Updates
}

// A capture, its refund and its dispute have the same order id, as far as PayPal states it.
func TestPayPalOrderIDs(t *testing.T) {
	const (
		ids     = `"custom_id":"c","invoice_id":"i",`
		related = `"supplementary_data":{"related_ids":{"order_id":"O"}},`
		up      = `"links":[{"rel":"self","href":"https://api.paypal.com/v2/payments/refunds/R"},{"rel":"up","href":"https://api.paypal.com/v2/payments/captures/C"}],`
	)
	dispute := func(transaction string) string {
		return `{"dispute_id":"D","status":"OPEN","disputed_transactions":[` + transaction + `]}`
	}
	for _, c := range []struct {
		name, kind, resource, none, custom, invoice string // the order ids by the key
	}{
		{"capture", "PAYMENT.CAPTURE.COMPLETED", `{` + ids + related + `"id":"C"}`, "O", "c", "i"},
		{"capture without ids", "PAYMENT.CAPTURE.COMPLETED", `{` + related + `"id":"C"}`, "O", "O", "O"},
		{"capture without an order", "PAYMENT.CAPTURE.COMPLETED", `{"id":"C"}`, "C", "C", "C"},
		{"capture with blank ids", "PAYMENT.CAPTURE.COMPLETED", `{"custom_id":" ","invoice_id":"","id":"C"}`, "C", "C", "C"},
		{"capture with a number", "PAYMENT.CAPTURE.COMPLETED", `{"custom_id":12345678901234567890,"id":"C"}`, "C", "12345678901234567890", "C"},
		{"refund", "PAYMENT.CAPTURE.REFUNDED", `{` + ids + up + `"id":"R"}`, "C", "c", "i"},
		{"refund with an order", "PAYMENT.CAPTURE.REFUNDED", `{` + related + up + `"id":"R"}`, "O", "O", "O"},
		{"refund without ids", "PAYMENT.CAPTURE.REFUNDED", `{` + up + `"id":"R"}`, "C", "C", "C"},
		{"refund with a related capture", "PAYMENT.CAPTURE.REFUNDED", `{"supplementary_data":{"related_ids":{"capture_id":"C"}},"id":"R"}`, "C", "C", "C"},
		{"refund alone", "PAYMENT.CAPTURE.REFUNDED", `{"id":"R"}`, "R", "R", "R"},
		{"order", "CHECKOUT.ORDER.APPROVED", `{"id":"O","purchase_units":[{` + ids + `"amount":{}}]}`, "O", "c", "i"},
		{"order without units", "CHECKOUT.ORDER.APPROVED", `{"id":"O"}`, "O", "O", "O"},
		{"dispute", "CUSTOMER.DISPUTE.CREATED", dispute(`{"seller_transaction_id":"C","custom":"c","invoice_number":"i"}`), "C", "c", "i"},
		{"dispute without ids", "CUSTOMER.DISPUTE.CREATED", dispute(`{"seller_transaction_id":"C","buyer_transaction_id":"B"}`), "C", "C", "C"},
		{"dispute of the buyer", "CUSTOMER.DISPUTE.CREATED", dispute(`{"buyer_transaction_id":"B"}`), "B", "B", "B"},
		{"dispute of an empty transaction", "CUSTOMER.DISPUTE.CREATED", dispute(`{}`), "D", "D", "D"},
		{"dispute of nothing", "CUSTOMER.DISPUTE.CREATED", dispute(``), "D", "D", "D"},
		{"note", "PAYMENT.SALE.COMPLETED", `{"id":"S"}`, "S", "S", "S"},
		{"note about an order", "CHECKOUT.PAYMENT-APPROVAL.REVERSED", `{"order_id":"O","purchase_units":[{` + ids + `"amount":{}}]}`, "O", "c", "i"},
		{"note about a dispute", "CUSTOMER.DISPUTE.OTHER", dispute(`{"seller_transaction_id":"C","custom":"c","invoice_number":"i"}`), "C", "c", "i"},
		{"note about nothing", "X", `{}`, "WH-1", "WH-1", "WH-1"},
	} {
		for key, want := range map[string]string{"": c.none, "custom_id": c.custom, "invoice_id": c.invoice} {
			updates := decodePayPal(t, newTestPayPal(t, key), paypalEventBody("WH-1", c.kind, "2026-01-04T10:00:00Z", c.resource))
			if len(updates) != 1 || updates[0].GetOrderId() != want || updates[0].GetEventId() != "WH-1" {
				t.Errorf("%s: Decode() with the key %q = %v, want the order id %s", c.name, key, updates, want)
			}
			if part := updates[0].GetOrder().GetPart(); strings.HasPrefix(c.name, "capture") && part != "C" {
				t.Errorf("%s: part = %q, want C, which is the seller_transaction_id of a dispute", c.name, part)
			}
		}
	}
}

func TestPayPalDisputeStatus(t *testing.T) {
	for _, c := range []struct{ status, outcome, want, word string }{
		{"OPEN", "", "open", ""},
		{"WAITING_FOR_SELLER_RESPONSE", "", "open", ""},
		{"WAITING_FOR_BUYER_RESPONSE", "", "submitted", ""},
		{"UNDER_REVIEW", "", "submitted", ""},
		{"OTHER", "", "under_review", ""},
		{"RESOLVED", "RESOLVED_SELLER_FAVOUR", "won", ""},
		{"RESOLVED", "RESOLVED_WITH_PAYOUT", "won", ""},
		{"RESOLVED", "DENIED", "won", ""},
		{"RESOLVED", "RESOLVED_BUYER_FAVOUR", "lost", ""},
		{"RESOLVED", "ACCEPTED", "lost", ""},
		{"RESOLVED", "CANCELED_BY_BUYER", "canceled", ""},
		{"RESOLVED", "NONE", "closed", ""},
		{"RESOLVED", "", "closed", ""},
		{"RESOLVED", "SHARED", "", "RESOLVED:SHARED"},
		{"APPEALED", "ACCEPTED", "", "APPEALED"},
	} {
		// The type of the event states nothing about the status.
		for _, kind := range []string{"CREATED", "UPDATED", "RESOLVED"} {
			u := decodePayPal(t, newTestPayPal(t, ""), paypalEventBody("WH-1", "CUSTOMER.DISPUTE."+kind, "2026-01-04T10:00:00Z", fmt.Sprintf(
				`{"dispute_id":"D","status":%q,"dispute_outcome":{"outcome_code":%q,"amount_refunded":{"currency_code":"USD","value":"1"}}}`, c.status, c.outcome)))[0].GetDispute()
			if got := payments.DisputeStatuses.Name(u.GetStatus()); got != c.want || u.GetProviderStatus() != c.word {
				t.Errorf("%s of %s = %s, %q, want %s, %q", c.status, c.outcome, got, u.GetProviderStatus(), c.want, c.word)
			}
			if (u.GetOutcomeAmount() != nil) != (c.want == "lost") {
				t.Errorf("outcome amount of %s = %v, want one of a lost dispute only", c.want, u.GetOutcomeAmount())
			}
		}
	}
}

// PayPal states the amount of a dispute in all. Each transaction has its own.
func TestPayPalDisputeOfSeveralTransactions(t *testing.T) {
	transaction := func(id, amount string) string {
		return fmt.Sprintf(`{"seller_transaction_id":%q,"gross_amount":{"currency_code":"EUR","value":%q}}`, id, amount)
	}
	body := paypalEventBody("WH-1", "CUSTOMER.DISPUTE.CREATED", "2026-01-04T10:00:00Z", `{"dispute_id":"D","status":"RESOLVED",
		"dispute_amount":{"currency_code":"EUR","value":"100"},"dispute_outcome":{"outcome_code":"ACCEPTED","amount_refunded":{"currency_code":"EUR","value":"50"}},
		"disputed_transactions":[`+transaction("A", "60")+`,`+transaction("B", "40.5")+`,`+transaction("A", "60")+`,{},7]}`)
	var got []string
	for _, u := range decodePayPal(t, newTestPayPal(t, "custom_id"), body) {
		d := u.GetDispute()
		got = append(got, fmt.Sprint(u.GetEventId(), " ", u.GetOrderId(), " ", d.GetDisputeId(), " ", d.GetAmount().GetMinorUnits(), " ", d.GetOutcomeAmount() != nil))
	}
	want := []string{"WH-1:A A D:A 6000 false", "WH-1:B B D:B 4050 false", "WH-1:#4 D:#4 D:#4 0 false", "WH-1:#5 D:#5 D:#5 0 false"}
	if !slices.Equal(got, want) {
		t.Errorf("Decode() = %q, want %q", got, want)
	}
}

// PayPal states amounts in decimal text, those of HUF, JPY and TWD without decimals.
func TestPayPalMoney(t *testing.T) {
	for _, c := range []struct {
		value, currency string
		units           int64
		exponent        int32 // 0 for that of ISO 4217
	}{
		{"100.50", "USD", 10050, 0}, {"100", "USD", 10000, 0}, {"0.00", "USD", 0, 0}, {"0.01", "usd", 1, 0},
		{"500", "JPY", 500, 0}, {"500.00", "JPY", 500, 0}, {"1000", "HUF", 100000, 0}, {"1000", "TWD", 100000, 0},
		{"1.234", "TND", 1234, 0}, {"1.005", "USD", 1005, 3}, {"92233720368547758.07", "USD", 1<<63 - 1, 0},
	} {
		amount := fmt.Sprintf(`{"currency_code":%q,"value":%q}`, c.currency, c.value)
		u := decodePayPal(t, newTestPayPal(t, ""), paypalEventBody("WH-1", "PAYMENT.CAPTURE.COMPLETED", "2026-01-04T10:00:00Z", `{"id":"C","amount":`+amount+`}`))[0]
		m := u.GetOrder().GetCaptured()
		if m.GetMinorUnits() != c.units || m.GetCurrency() != strings.ToUpper(c.currency) || m.GetExponent() != c.exponent {
			t.Errorf("captured %s %s = %v, want %d", c.value, c.currency, m, c.units)
		}
	}
	for _, amount := range []string{
		`{"currency_code":"USD","value":"-1.00"}`, `{"currency_code":"USD","value":"1e3"}`, `{"currency_code":"USD","value":"1,00"}`, `{"currency_code":"USD"}`,
		`{"value":"1.00"}`, `{"currency_code":"$","value":"1.00"}`, `{"currency_code":"USD","value":"92233720368547758.08"}`, `{"currency_code":"USD","value":true}`,
	} {
		_, err := newTestPayPal(t, "").Decode(&Request{Body: []byte(paypalEventBody("WH-1", "PAYMENT.CAPTURE.COMPLETED", "2026-01-04T10:00:00Z", `{"id":"C","amount":`+amount+`}`))})
		if code, _ := reason(err); code != "invalid_amount" && code != "invalid_currency" {
			t.Errorf("Decode() with the amount %s = %v, want a refusal of it", amount, err)
		}
	}
}

// What cannot be read is a dead letter. A member of another type than expected is absent.
func TestPayPalMalformed(t *testing.T) {
	for body, want := range map[string]string{
		``: "invalid_json", `{`: "invalid_json", `{}{}`: "invalid_json", `[]`: "not_an_object", `null`: "not_an_object", `"x"`: "not_an_object",
		strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat(`}`, 200): "too_deep",
		`{}`: "field_required", `{"id":"WH-1"}`: "field_required", `{"id":{},"event_type":"X","create_time":"2026-01-04T10:00:00Z"}`: "field_required",
		`{"id":"WH-1","event_type":"X"}`: "field_required", `{"id":"WH-1","event_type":"X","create_time":"today"}`: "field_required",
		`{"id":"WH-1","event_type":"X","create_time":"1969-12-31T23:59:59Z"}`:                "field_required",
		"{\"id\":\"WH-\xff\",\"event_type\":\"X\",\"create_time\":\"2026-01-04T10:00:00Z\"}": "invalid_utf8",
		paypalEventBody("WH-1", "CUSTOMER.DISPUTE.CREATED", "2026-01-04T10:00:00Z", `{}`):    "field_required",
	} {
		_, err := newTestPayPal(t, "").Decode(&Request{Body: []byte(body)})
		if code, message := reason(err); code != want || message == "" {
			t.Errorf("Decode(%.80s) = %v, want %s", body, err, want)
		}
	}
	for _, resource := range []string{
		`null`, `7`, `"x"`, `[]`, `[{}]`, `{"id":{"a":1}}`, `{"amount":"1.00"}`, `{"amount":[1]}`, `{"links":{}}`, `{"links":["x",{"rel":1,"href":[]}]}`,
		`{"purchase_units":"x"}`, `{"purchase_units":[7,{"amount":7}]}`, `{"supplementary_data":{"related_ids":[]}}`, `{"supplementary_data":7}`,
		`{"disputed_transactions":{},"dispute_outcome":[],"status":"OPEN"}`, `{"id":"a","id":"b","x":1,"x":2}`, `{"final_capture":"maybe"}`,
		`{"status":"OPEN","seller_response_due_date":"soon","dispute_life_cycle_stage":"SOMETHING"}`,
	} {
		for kind := range paypalEvents {
			if strings.HasPrefix(kind, "CUSTOMER") && !strings.Contains(resource, "OPEN") {
				continue
			}
			decodePayPal(t, newTestPayPal(t, "custom_id"), paypalEventBody("WH-1", kind, "2026-01-04T10:00:00Z", resource))
		}
		if u := decodePayPal(t, newTestPayPal(t, ""), paypalEventBody("WH-1", "X.Y", "2026-01-04T10:00:00Z", resource)); u[0].GetNote().GetKind() != "X.Y" {
			t.Errorf("Decode() of an unknown type with the resource %s = %v, want a note", resource, u)
		}
	}
	w, err := newTestPayPal(t, "").Decode(&Request{Body: []byte("\ufeff" + paypalEventBody("WH-1", "CUSTOMER.DISPUTE.UPDATED", "2026-01-04T10:00:00Z",
		`{"status":"OPEN","seller_response_due_date":"soon","dispute_life_cycle_stage":"SOMETHING"}`))})
	if want := []string{"resource.seller_response_due_date", "resource.dispute_life_cycle_stage"}; err != nil || !slices.Equal(w.Ignored, want) {
		t.Errorf("Decode() ignored %q, %v, want %q", w.Ignored, err, want)
	}
}

// The scenarios of PayPal have the same result in each order of arrival.
func TestPayPalScenarios(t *testing.T) {
	type event struct{ kind, at, resource string }
	const capture = `{"id":"C","status":%q,"amount":{"currency_code":"USD","value":"80.00"},"final_capture":true}`
	dispute := func(status, stage, more string) string {
		return fmt.Sprintf(`{"dispute_id":"D","status":%q,"dispute_life_cycle_stage":%q,%s,"disputed_transactions":[{"seller_transaction_id":"C"}]}`, status, stage, more)
	}
	const at100 = `"dispute_amount":{"currency_code":"USD","value":"100.00"}`
	for name, c := range map[string]struct {
		events []event
		check  func(naive.Order, payments.Dispute) string
	}{
		"S27, refunded, then the success again": {[]event{
			{"PAYMENT.CAPTURE.COMPLETED", "2026-01-01T12:00:00Z", fmt.Sprintf(capture, "COMPLETED")},
			{"PAYMENT.CAPTURE.REFUNDED", "2026-01-02T12:00:00Z", fmt.Sprintf(capture, "REFUNDED")},
			{"PAYMENT.CAPTURE.COMPLETED", "2026-01-03T12:00:00Z", fmt.Sprintf(capture, "COMPLETED")},
		}, func(o naive.Order, _ payments.Dispute) string {
			return fmt.Sprint(o.Status, " ", o.Amount.MinorUnits, " ", o.Captured.MinorUnits, " ", o.Refunded.MinorUnits, " = success 8000 8000 8000")
		}},
		"S41, the buyer changes the reason": {[]event{
			{"CUSTOMER.DISPUTE.CREATED", "2026-01-01T12:00:00Z", dispute("WAITING_FOR_SELLER_RESPONSE", "CHARGEBACK", `"reason":"NOT_RECEIVED"`)},
			{"CUSTOMER.DISPUTE.UPDATED", "2026-01-06T12:00:00Z", dispute("UNDER_REVIEW", "PRE_ARBITRATION", `"reason":"NOT_RECEIVED"`)},
			{"CUSTOMER.DISPUTE.UPDATED", "2026-01-07T12:00:00Z", dispute("OPEN", "CHARGEBACK", `"reason":"NOT_AS_DESCRIBED","seller_response_due_date":"2026-01-17T12:00:00Z"`)},
		}, func(_ naive.Order, d payments.Dispute) string {
			return fmt.Sprint(payments.DisputeStatuses.Name(d.Status), " ", payments.DisputeStages.Name(d.Stage), " ", d.Reason, " ", d.EvidenceDueAt.Format(time.DateOnly), " ", d.Reopened,
				" = open chargeback NOT_AS_DESCRIBED 2026-01-17 0")
		}},
		"S55, a partial loss": {[]event{
			{"CUSTOMER.DISPUTE.CREATED", "2026-01-01T12:00:00Z", dispute("OPEN", "CHARGEBACK", at100)},
			{"CUSTOMER.DISPUTE.RESOLVED", "2026-01-21T12:00:00Z", dispute("RESOLVED", "CHARGEBACK", at100+
				`,"dispute_outcome":{"outcome_code":"RESOLVED_BUYER_FAVOUR","amount_refunded":{"currency_code":"USD","value":"40.00"}}`)},
		}, func(_ naive.Order, d payments.Dispute) string {
			return fmt.Sprint(payments.DisputeStatuses.Name(d.Status), " ", payments.DisputeStages.Name(d.Stage), " ", d.Amount.MinorUnits, " ", d.OutcomeAmount.MinorUnits, " ", d.Reopened,
				" = lost chargeback 10000 4000 0")
		}},
		"an authorization is captured in parts": {[]event{
			{"PAYMENT.AUTHORIZATION.CREATED", "2026-01-01T12:00:00Z", `{"id":"A","custom_id":"C","status":"CREATED","amount":{"currency_code":"USD","value":"100.00"}}`},
			{"PAYMENT.CAPTURE.COMPLETED", "2026-01-02T12:00:00Z", `{"id":"C1","custom_id":"C","amount":{"currency_code":"USD","value":"60.00"},"supplementary_data":{"related_ids":{"authorization_id":"A"}}}`},
			{"PAYMENT.CAPTURE.COMPLETED", "2026-01-03T12:00:00Z", `{"id":"C2","custom_id":"C","amount":{"currency_code":"USD","value":"40.00"},"supplementary_data":{"related_ids":{"authorization_id":"A"}}}`},
			{"PAYMENT.CAPTURE.REFUNDED", "2026-01-04T12:00:00Z", `{"id":"R","custom_id":"C","status":"COMPLETED","amount":{"currency_code":"USD","value":"15.00"}}`},
		}, func(o naive.Order, _ payments.Dispute) string {
			return fmt.Sprint(o.Status, " ", o.Amount.MinorUnits, " ", o.Authorized.MinorUnits, " ", o.Captured.MinorUnits, " ", o.Refunded.MinorUnits, " = success 10000 10000 10000 1500")
		}},
		"a refund that fails": {[]event{
			{"PAYMENT.CAPTURE.COMPLETED", "2026-01-01T12:00:00Z", fmt.Sprintf(capture, "COMPLETED")},
			{"PAYMENT.CAPTURE.REFUNDED", "2026-01-02T12:00:00Z", `{"id":"R","custom_id":"C","status":"COMPLETED","amount":{"currency_code":"USD","value":"15.00"}}`},
			{"PAYMENT.REFUND.FAILED", "2026-01-03T12:00:00Z", `{"id":"R","custom_id":"C","status":"FAILED","amount":{"currency_code":"USD","value":"15.00"}}`},
		}, func(o naive.Order, _ payments.Dispute) string {
			return fmt.Sprint(o.Status, " ", o.Captured.MinorUnits, " ", o.Refunded.MinorUnits, " = success 8000 0")
		}},
		"an order that is voided beside a capture that is reversed": {[]event{
			{"CHECKOUT.ORDER.APPROVED", "2026-01-01T12:00:00Z", `{"id":"O1","purchase_units":[{"custom_id":"C","amount":{"currency_code":"USD","value":"80.00"}}]}`},
			{"PAYMENT.CAPTURE.COMPLETED", "2026-01-02T12:00:00Z", fmt.Sprintf(capture, "COMPLETED")},
			{"CHECKOUT.ORDER.VOIDED", "2026-01-03T12:00:00Z", `{"id":"O1","purchase_units":[{"custom_id":"C","amount":{"currency_code":"USD","value":"80.00"}}]}`},
			{"PAYMENT.CAPTURE.REVERSED", "2026-01-04T12:00:00Z", `{"id":"V","links":[{"rel":"up","href":"https://api.paypal.com/v2/payments/captures/C"}]}`},
		}, func(o naive.Order, _ payments.Dispute) string {
			return fmt.Sprint(o.Status, " ", o.Amount.MinorUnits, " ", o.Captured.MinorUnits, " = reversed 8000 0")
		}},
	} {
		adapter := newTestPayPal(t, "custom_id")
		var updates []*payrelayv1.Update
		for i, e := range c.events {
			updates = append(updates, decodePayPal(t, adapter, paypalEventBody(fmt.Sprint("WH-", i), e.kind, e.at, e.resource))...)
		}
		permute(updates, func(arrival []*payrelayv1.Update) {
			result := naive.Fold(arrival, nil)
			text := c.check(result.Orders["C"], result.Disputes[payments.DisputeKey{Source: "paypal", ID: "D"}])
			if got, want, _ := strings.Cut(text, " = "); got != want || len(result.Refused) != 0 {
				t.Errorf("%s: the state is %s, want %s; refused %v", name, got, want, result.Refused)
			}
		})
	}
}

// permute calls a function with each order of the updates.
func permute(updates []*payrelayv1.Update, with func([]*payrelayv1.Update)) {
	if len(updates) == 0 {
		with(nil)
	}
	for i := range updates {
		permute(slices.Concat(updates[:i], updates[i+1:]), func(rest []*payrelayv1.Update) { with(append([]*payrelayv1.Update{updates[i]}, rest...)) })
	}
}
