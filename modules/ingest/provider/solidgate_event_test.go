package provider

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	model "github.com/payrelay/payrelay/modules/payments/oracle"
)

// solidgateUpdate decodes a webhook that reports a valid update.
func solidgateUpdate(t testing.TB, r *Request) (*payrelayv1.Update, []string) {
	t.Helper()
	w, err := newSolidgateSource(t).Decode(r)
	if err != nil || len(w.Updates) != 1 || w.Environment != "" {
		t.Fatalf("Decode(%s) = %v, %v, want one update without an environment", r.Body, w, err)
	}
	u := w.Updates[0]
	u.Provider = "solidgate-eu"
	if err := payments.Validate(u); err != nil {
		t.Fatalf("the update of %s is not valid: %v", r.Body, err)
	}
	if !bytes.Equal(u.GetRawBody(), r.Body) {
		t.Errorf("RawBody = %q, want the body", u.GetRawBody())
	}
	return u, w.Ignored
}

// orderAt returns a webhook about an order that was changed at a minute after noon.
func orderAt(minute int, status, members string) *Request {
	at := time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC).Format(time.DateTime)
	return solidgateRequest("card_gate.order.updated", fmt.Sprint("e", minute), "2026-01-01T00:00:00.000Z", fmt.Sprintf(
		`{"order":{"order_id":"order-1","amount":5000,"currency":"EUR","status":%q%s},"transaction":{"updated_at":%q}}`, status, members, at))
}

// chargebackAt returns a webhook about a chargeback that was changed on a day.
func chargebackAt(day int, kind, status, deadline string) *Request {
	at := time.Date(2026, 1, day, 12, 0, 0, 0, time.UTC).Format(time.DateTime)
	return solidgateRequest("card_gate.chargeback.received", fmt.Sprint("d", day), "2026-01-01T00:00:00.000Z", fmt.Sprintf(
		`{"order":{"order_id":"order-1"},"chargeback":{"id":735,"amount":5000,"currency":"EUR","type":%q,"status":%q},
		"chargeback_flow":[{"type":"1st_chb","updated_date":"2026-01-01 00:00:00","deadline_date":"2026-01-02 00:00:00"},{"type":%[1]q,"updated_date":%[3]q,"deadline_date":%[4]q}]}`,
		kind, status, at, deadline))
}

var solidgateScenarios = []struct {
	name     string
	webhooks []*Request
	want     outcome
}{
	{name: "a payment that is refunded twice",
		webhooks: []*Request{orderAt(0, "processing", ""), orderAt(1, "auth_ok", `,"authorized_amount":5000`), orderAt(2, "settle_ok", ""),
			orderAt(3, "refunded", `,"refunded_amount":1000`), orderAt(4, "refunded", `,"refunded_amount":1500`)},
		want: outcome{order: &model.Order{Status: "success", Amount: euros(5000), Authorized: euros(5000), Captured: euros(5000), Refunded: euros(1500)}}},
	{name: "a refund without an amount",
		webhooks: []*Request{orderAt(1, "settle_ok", ""), orderAt(2, "refunded", `,"refunded_amount":0`)},
		want:     outcome{order: &model.Order{Status: "success", Amount: euros(5000), Captured: euros(5000), Refunded: euros(5000)}}},
	{name: "a second card",
		webhooks: []*Request{orderAt(1, "auth_failed", ""), orderAt(2, "3ds_verify", ""), orderAt(3, "settle_ok", "")},
		want:     outcome{order: &model.Order{Status: "success", Amount: euros(5000), Captured: euros(5000)}}},
	{name: "a void", webhooks: []*Request{orderAt(1, "auth_ok", ""), orderAt(2, "void_ok", "")},
		want: outcome{order: &model.Order{Status: "canceled", Amount: euros(5000)}}},
	{name: "a chargeback that comes back",
		webhooks: []*Request{chargebackAt(3, "1st_chb", "in_progress", "2026-01-10 00:00:00"), chargebackAt(4, "1st_chb", "document_sent", "2026-01-10 00:00:00"),
			chargebackAt(5, "1st_chb", "reversed", ""), chargebackAt(9, "2nd_chb", "in_progress", "2026-01-20 23:59:59")},
		want: outcome{dispute: &payments.Dispute{Status: disputeOpen, Stage: stagePreArbitration, Amount: euros(5000), Reopened: 1,
			EvidenceDueAt: time.Date(2026, 1, 20, 23, 59, 59, 0, time.UTC)}}},
	{name: "arbitration",
		webhooks: []*Request{chargebackAt(3, "1st_chb", "in_progress", ""), chargebackAt(4, "2nd_chb", "document_sent", ""),
			chargebackAt(5, "arbitration", "in_progress", ""), chargebackAt(6, "arbitration", "resolved", "")},
		want: outcome{dispute: &payments.Dispute{Status: disputeLost, Stage: stageArbitration, Amount: euros(5000)}}},
}

// Every scenario has the same result in every order of arrival, also if an attacker sends
// each webhook again under another id and with another time in the header.
func TestSolidgateScenarios(t *testing.T) {
	for _, s := range solidgateScenarios {
		for arrival := range permutationsOf(s.webhooks) {
			var updates []*payrelayv1.Update
			for _, r := range slices.Concat(arrival, replays(arrival)) {
				wantAuthentic(t, newSolidgateSource(t), r, 0)
				u, ignored := solidgateUpdate(t, r)
				if len(ignored) > 0 {
					t.Fatalf("%s: ignored %q", s.name, ignored)
				}
				updates = append(updates, u)
			}
			s.want.check(t, s.name, payments.DisputeKey{Source: "solidgate-eu", ID: "735"}, model.Fold(updates, nil))
		}
	}
}

// replays returns webhooks with other ids and a later time in the header, which their
// signatures do not cover.
func replays(webhooks []*Request) (again []*Request) {
	for i, r := range webhooks {
		replayed := *r
		replayed.Header = maps.Clone(r.Header)
		replayed.Header.Set("solidgate-event-id", fmt.Sprint("replay-", i))
		replayed.Header.Set("solidgate-event-created-at", "2026-11-28T09:00:00.000Z")
		again = append(again, &replayed)
	}
	return again
}

// The forms of members that are read, and what becomes of those that cannot be.
func TestSolidgateMembers(t *testing.T) {
	order := func(members string) *Request {
		return solidgateRequest("card_gate.order.updated", "e1", "2026-01-01T00:00:00.000Z", `{"order":{"order_id":"o","status":"settle_ok","currency":"EUR"`+members)
	}
	for _, test := range []struct {
		r    *Request
		code string // or empty if the body can be read
	}{
		{order(`,"amount":"5000"}}`), ""},
		{order(`,"amount":null}}`), ""},
		{order(`,"amount":9223372036854775807}}`), ""},
		{order(`},"transactions":[{"operation":"settle","status":"success","amount":1,"currency":"eur"}]}`), ""},
		{order(`},"transactions":null,"transaction":7,"chargeback":[]}`), ""},
		{order(`,"customer_account_id":"` + strings.Repeat("x", 300) + `"}}`), ""},
		{order(`,"amount":50.5}}`), "invalid_amount"},
		{order(`,"amount":-1}}`), "invalid_amount"},
		{order(`,"amount":9223372036854775808}}`), "invalid_amount"},
		{order(`,"amount":1,"currency":"€"}}`), "invalid_currency"},
		{order(`},"transactions":{"a":{"operation":"settle","status":"success","amount":9223372036854775807,"currency":"EUR"},"b":{"operation":"settle","status":"success","amount":1,"currency":"EUR"}}}`), "invalid_amount"},
		{order(`}`), "invalid_json"},
		{order(`}}{}`), "invalid_json"},
		{order(`},"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`), "too_deep"},
		{solidgateRequest("card_gate.order.updated", "e1", "2026-01-01T00:00:00Z", `[]`), "not_an_object"},
		{solidgateRequest("card_gate.order.updated", "e1", "2026-01-01T00:00:00Z", `null`), "not_an_object"},
		{solidgateRequest("card_gate.order.updated", "", "2026-01-01T00:00:00Z", solidgateBodyText), "event_id_missing"},
		{solidgateRequest("card_gate.order.updated", "e1", "", solidgateBodyText), "invalid_time"},
		{solidgateRequest("card_gate.order.updated", "e1", "yesterday", solidgateBodyText), "invalid_time"},
		{solidgateRequest("card_gate.chargeback.received", "e1", "2026-01-01T00:00:00Z", `{"chargeback":{"status":"reversed"}}`), "field_required"},
	} {
		_, err := newSolidgateSource(t).Decode(test.r)
		if code, _ := reason(err); code != test.code || (err == nil) != (test.code == "") {
			t.Errorf("Decode(%.200s) = %v, want %q", test.r.Body, err, test.code)
		}
	}
}

// A chargeback is one under every type, because the type is not signed. Deadlines and
// stages that cannot be read are ignored.
func TestSolidgateDisputes(t *testing.T) {
	r := chargebackAt(3, "1st_chb", "in_progress", "soon")
	r.Header.Set("solidgate-event-type", "card_gate.order.updated")
	u, ignored := solidgateUpdate(t, r)
	if u.GetDispute().GetDisputeId() != "735" || u.GetDispute().GetEvidenceDueAt() != nil || !slices.Equal(ignored, []string{"chargeback_flow.deadline_date"}) {
		t.Errorf("the update of another type is %v, and ignores %q, want a dispute without a deadline", u, ignored)
	}
	u, ignored = solidgateUpdate(t, chargebackAt(3, "4th_chb", "appealed", "2026-01-10 00:00:00"))
	if u.GetDispute().GetProviderStatus() != "appealed" || u.GetDispute().GetStage() != 0 || !slices.Equal(ignored, []string{"chargeback.type"}) {
		t.Errorf("the update of unknown words is %v, and ignores %q", u, ignored)
	}
}

func TestSolidgateNotes(t *testing.T) {
	for _, test := range []struct{ event, body, kind, order string }{
		{"card_gate.fraud_alert.received", `{"id":17,"order_id":"o1"}`, "fraud_warning", "o1"},
		{"card_gate.fraud_alert.received", solidgateBodyText, "fraud_warning", "order-1"},
		{"card_gate.prevention_alert.received", `{"order":{"id":"o2","status":"approved"}}`, "card_gate.prevention_alert.received", "o2"},
		{"alt_gate.paypal_dispute.received", `{"order":{"order_id":"o3"}}`, "alt_gate.paypal_dispute.received", "o3"},
		{"subscription.updated.v2", `{"subscription":{"id":"s1"}}`, "subscription.updated.v2", "s1"},
		{"taxer.tax.calculated", `{}`, "taxer.tax.calculated", "e1"},
	} {
		u, _ := solidgateUpdate(t, solidgateRequest(test.event, "e1", "2026-01-01T00:00:00.000Z", test.body))
		if u.GetNote().GetKind() != test.kind || u.GetOrderId() != test.order {
			t.Errorf("the update of %s is %v, want a note %q of %s", test.event, u, test.kind, test.order)
		}
	}
}

func TestSolidgateOrderIDPrefix(t *testing.T) {
	settings := solidgateSettings
	settings.Provider, settings.OrderIDPrefix = Solidgate, "eu-"
	adapter, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	if w, err := adapter.Decode(solidgateOrderRequest()); err != nil || w.Updates[0].GetOrderId() != "eu-order-1" {
		t.Errorf("Decode = %v, %v, want the order eu-order-1", w.Updates, err)
	}
}

// FuzzSolidgate passes bodies to the decoder, which never panics and keeps the body.
func FuzzSolidgate(f *testing.F) {
	for _, e := range readExamples(f)[Solidgate] {
		f.Add(e.header.Get("solidgate-event-type"), e.body)
	}
	f.Add("card_gate.order.updated", []byte(`{"order":[],"transactions":{"a":null},"chargeback_flow":{"a":[]},"chargeback":{"id":true}}`))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		kept := bytes.Clone(body)
		w, err := newSolidgateSource(t).Decode(solidgateRequest(event, "e1", "2026-01-01T00:00:00Z", string(body)))
		if code, message := reason(err); err != nil && (code == "" || message == "") {
			t.Errorf("Decode(%q) = %v, want a code and a message", body, err)
		}
		if !bytes.Equal(body, kept) || err == nil && (len(w.Updates) != 1 || !bytes.Equal(w.Updates[0].GetRawBody(), body) || w.Updates[0].GetSubject() == nil) {
			t.Errorf("Decode(%q) = %v", body, w)
		}
	})
}
