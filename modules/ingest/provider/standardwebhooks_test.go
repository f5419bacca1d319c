package provider

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// envelope returns an event. Changes holds names and JSON values of members to replace or
// add. An empty value removes the member.
func envelope(event string, changes ...string) string {
	return object([]string{"type", `"` + event + `"`, "timestamp", `"2026-01-05T10:00:00Z"`, "data", `{}`}, changes)
}

// decodeStandard returns what the event msg_1 reports.
func decodeStandard(t *testing.T, body string) (Webhook, *payrelayv1.Update, error) {
	t.Helper()
	r := &Request{Header: http.Header{"Webhook-Id": {"msg_1"}}, Body: []byte(body), ReceivedAt: time.Now()}
	a := newStandard(t, vectorSecret)
	update, _, err := decodeOne(a, r)
	if err != nil {
		return Webhook{}, nil, err
	}
	w, _ := a.Decode(r)
	if w.Environment != "" {
		t.Errorf("Environment = %q, want none", w.Environment)
	}
	return w, bare(t, update, body), nil
}

// TestStandardOrder compares the data of an order with the same generic webhook.
func TestStandardOrder(t *testing.T) {
	for _, changes := range [][]string{
		{}, {"provider_event_id", ""}, {"status", `"success"`, "meta", `{"amount":"100.50","currency":"USD","captured":1}`, "part", `"pi_1"`},
		{"status", `"x"`, "user_id", `"u"`, "created_at", `"2026-01-04T09:00:00Z"`}, {"amount", `1`, "part", `7`},
	} {
		_, ignored, err := decode(ordersPath, order(changes...))
		want := accepted(t, ordersPath, order(append(slices.Clone(changes), "provider_event_id", `"msg_1"`)...))
		for _, event := range []string{"order.created", "order.x.y", "order."} {
			w, got, standardErr := decodeStandard(t, envelope(event, "data", order(changes...)))
			if standardErr != nil {
				t.Errorf("Decode(%s of %q) failed: %v", event, changes, standardErr)
				continue
			}
			wantUpdate(t, got, want)
			if w.Event != event {
				t.Errorf("Event = %q, want %q", w.Event, event)
			}
			if err != nil {
				continue // the generic webhook needs an event id
			}
			var paths []string
			for _, path := range ignored {
				paths = append(paths, "data."+path)
			}
			if !slices.Equal(w.Ignored, append(paths, "data.provider_event_id")) {
				t.Errorf("Decode(%s of %q) ignores %q, want %q and the event id", event, changes, w.Ignored, paths)
			}
		}
	}
}

func TestStandardDispute(t *testing.T) {
	changes := []string{"provider_event_id", `"msg_1"`, "dispute_id", `"dp-1"`, "amount", `"5"`, "currency", `"JPY"`, "stage", `"inquiry"`, "reason", `"fraud"`, "evidence_due_at", `"2026-02-01T00:00:00Z"`}
	want := accepted(t, disputesPath, dispute(changes...))
	for _, event := range []string{"dispute.opened", "chargeback.opened", "chargeback.order.created"} {
		w, got, err := decodeStandard(t, envelope(event, "data", dispute(changes...)))
		if err != nil || w.Ignored != nil {
			t.Errorf("Decode(%s) ignores %q, %v, want nothing", event, w.Ignored, err)
			continue
		}
		wantUpdate(t, got, want)
	}
}

// TestStandardTimes checks that the time of the envelope counts if the data has none.
func TestStandardTimes(t *testing.T) {
	for _, c := range []struct{ event, data, want string }{
		{"order.created", order(), "2026-01-04T10:00:00Z"},
		{"order.created", order("updated_at", ""), "2026-01-05T10:00:00Z"},
		{"order.created", order("updated_at", `null`), "2026-01-05T10:00:00Z"},
		{"order.created", order("updated_at", "", "created_at", `"2026-01-03T10:00:00Z"`), "2026-01-03T10:00:00Z"},
		{"dispute.opened", dispute(), "2026-01-04T10:00:00Z"},
		{"dispute.opened", dispute("occurred_at", `"0001-01-01T00:00:00Z"`), "2026-01-05T10:00:00Z"},
	} {
		if _, u, err := decodeStandard(t, envelope(c.event, "data", c.data)); err != nil || !proto.Equal(u.GetOccurredAt(), at(t, c.want)) {
			t.Errorf("time of %s with %s = %v, %v, want %s", c.event, c.data, u, err, c.want)
		}
	}
	if _, u, err := decodeStandard(t, envelope("order.created", "timestamp", "", "data", order())); err != nil || !proto.Equal(u.GetOccurredAt(), at(t, "2026-01-04T10:00:00Z")) {
		t.Errorf("Decode() without the time of the envelope = %v, %v, want the time of the data", u, err)
	}
}

// TestStandardNotes has events that are not about the state of an order or a dispute.
func TestStandardNotes(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for _, c := range []struct{ event, data, order string }{
		{"payout.paid", `{}`, "msg_1"}, {"payout.paid", `{"order_id":"order-1"}`, "order-1"}, {"payout.paid", `{"order_id":7}`, "msg_1"},
		{"payout.paid", `{"order_id":" "}`, "msg_1"}, {"payout.paid", `{"order_id":"` + long + `"}`, "msg_1"}, {"payout.paid", `{"order_id":"\u0007"}`, "msg_1"},
		{"payout.paid", `{"order_id":"\ud800"}`, "msg_1"}, {"payout.paid", `{"order_id":"a","ORDER_ID":"b"}`, "msg_1"},
		{"payout.paid", `null`, "msg_1"}, {"payout.paid", ``, "msg_1"}, {"payout.paid", `[1]`, "msg_1"}, {"payout.paid", `"order_id"`, "msg_1"},
		{"order", order(), "order-1"}, {"dispute", `{}`, "msg_1"}, {"orders.created", order(), "order-1"}, {"Order.created", order(), "order-1"}, {"x.order.created", order(), "order-1"},
		{"a\\u0000b", `{}`, "msg_1"}, {long, `{}`, "msg_1"},
	} {
		w, u, err := decodeStandard(t, envelope(c.event, "data", c.data))
		if err != nil {
			t.Errorf("Decode(%.30s with %.60s) failed: %v", c.event, c.data, err)
			continue
		}
		kind := payments.PlainText(strings.ReplaceAll(c.event, "\\u0000", "\x00"))
		wantUpdate(t, u, &payrelayv1.Update{EventId: "msg_1", OrderId: c.order, OccurredAt: at(t, "2026-01-05T10:00:00Z"),
			Subject: &payrelayv1.Update_Note{Note: &payrelayv1.Note{Kind: kind}}})
		if w.Event == "" || w.Ignored != nil {
			t.Errorf("Decode(%.30s) = event %.30q, ignored %q, want the event and nothing", c.event, w.Event, w.Ignored)
		}
	}
}

// TestStandardUnreadable has authentic bodies that become dead letters.
func TestStandardUnreadable(t *testing.T) {
	for body, code := range map[string]string{
		"x": "invalid_json", `[]`: "not_an_object", `{"type":"a","type":"b"}`: "duplicate_key", `{"type":"a","Type":"b"}`: "duplicate_key",
		`{}`: "field_required", envelope("x", "type", `7`): "invalid_field", envelope(""): "field_required", envelope("x", "timestamp", ""): "field_required",
		envelope("x", "timestamp", `"yesterday"`): "invalid_time", envelope("x", "timestamp", `1767520800`): "invalid_field",
		envelope("order.created"): "field_required", envelope("order.created", "data", ""): "invalid_field", envelope("order.created", "data", `[]`): "invalid_field",
		envelope("order.created", "data", `"x"`): "invalid_field", envelope("dispute.opened", "data", dispute("amount", `-1`, "currency", `"USD"`)): "invalid_amount",
		envelope("order.created", "data", order("status", "")): "field_required", envelope("order.created", "data", order("STATUS", `1`)): "duplicate_key",
		envelope("order.created", "timestamp", "", "data", order("updated_at", "")): "field_required",
		envelope("x", "data", strings.Repeat("[", 200)+strings.Repeat("]", 200)):    "too_deep", envelope("order.created", "data", order("order_id", `"\ud800"`)): "invalid_utf8",
	} {
		_, u, err := decodeStandard(t, body)
		if got, message := reason(err); got != code || message == "" {
			t.Errorf("Decode(%s) = %v, %v, want %s", body, u, err, code)
		}
	}
	// An id that no update can hold, and none at all.
	for _, id := range []string{"", strings.Repeat("m", 256), "\xff", "a\tb"} {
		r := &Request{Header: http.Header{"Webhook-Id": {id}}, Body: []byte(envelope("payout.paid")), ReceivedAt: time.Now()}
		if u, _, err := decodeOne(newStandard(t, vectorSecret), r); err == nil {
			t.Errorf("Decode() of the event %q = %v, want an error", id, u)
		}
	}
}

func TestStandardOrderIDPrefix(t *testing.T) {
	a, err := New(Settings{Provider: StandardWebhooks, OrderIDPrefix: "eu-", Secrets: []Secret{{Value: vectorSecret}}})
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		envelope("order.created", "data", order()): "eu-order-1", envelope("dispute.opened", "data", dispute()): "eu-order-1",
		envelope("x", "data", `{"order_id":"order-1"}`): "eu-order-1", envelope("x"): "eu-msg_1",
	} {
		r := &Request{Header: http.Header{"Webhook-Id": {"msg_1"}}, Body: []byte(body), ReceivedAt: time.Now()}
		if u, _, err := decodeOne(a, r); err != nil || u.GetOrderId() != want {
			t.Errorf("Decode(%s) = %v, %v, want the order %s", body, u, err, want)
		}
	}
}
