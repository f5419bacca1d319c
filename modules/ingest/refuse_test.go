package ingest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

// order returns the body of a valid webhook about an order. Changes holds names and
// JSON values of members to replace or add. An empty value removes the member.
func order(changes ...string) string {
	return object([]string{
		"provider_event_id", `"evt-1"`, "order_id", `"order-1"`, "status", `"created"`, "updated_at", `"2026-01-04T10:00:00Z"`,
	}, changes)
}

// dispute returns the body of a valid webhook about a dispute, as order does.
func dispute(changes ...string) string {
	return object([]string{
		"provider_event_id", `"evt-2"`, "order_id", `"order-1"`, "status", `"opened"`, "occurred_at", `"2026-01-04T10:00:00Z"`,
	}, changes)
}

func object(members, changes []string) string {
	for i := 0; i < len(changes); i += 2 {
		replaced := false
		for j := 0; j < len(members); j += 2 {
			if members[j] == changes[i] {
				members[j+1], replaced = changes[i+1], true
			}
		}
		if !replaced {
			members = append(members, changes[i], changes[i+1])
		}
	}
	var fields []string
	for i := 0; i < len(members); i += 2 {
		if members[i+1] != "" {
			fields = append(fields, fmt.Sprintf("%q:%s", members[i], members[i+1]))
		}
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// refused posts a body and checks that the answer is 400 with the code, and that
// nothing was applied.
func refused(t *testing.T, path, body, code string) reply {
	t.Helper()
	next := &recorder{}
	got := post(t, handler(t, next), path, body)
	wantRefusal(t, got, http.StatusBadRequest, code)
	if next.count() != 0 {
		t.Error("a refused webhook was applied")
	}
	return got
}

// TestMessagesContainNoBody checks that no message quotes what the sender wrote.
func TestMessagesContainNoBody(t *testing.T) {
	evil := `<script>\u001b[31m\u202e` + strings.Repeat("é", 5000)
	for _, body := range []string{evil, `{"` + evil + `":1,"` + evil + `":2}`, `{"status":"` + evil, order("order_id", `{"`+evil+`":1}`), order("updated_at", `"`+evil+`"`),
		order("meta", `{"amount":"`+evil+`","currency":"USD"}`), order("meta", `{"amount":"1","currency":"`+evil+`"}`)} {
		if got := post(t, handler(t, &recorder{}), ordersPath, body); got.status != http.StatusBadRequest ||
			strings.Contains(string(got.raw), "script") || strings.Contains(string(got.raw), "é") {
			t.Errorf("answer = %d %s, want 400 without a part of the body", got.status, got.raw)
		}
	}
}

func TestErrorMessageIsPrintable(t *testing.T) {
	if got := payments.ErrorMessage("a\x1b[31m\nb\xff\u202e"); got != "a?[31m?b??" {
		t.Errorf("ErrorMessage() = %q, want question marks for unprintable characters", got)
	}
	if got := payments.ErrorMessage("x" + strings.Repeat("é", 200)); len(got) != 255 || strings.ContainsRune(got, '\ufffd') {
		t.Errorf("ErrorMessage() = %d bytes, want 255 of whole characters: %q", len(got), got)
	}
}

// TestRefusedBodies has a body for each reason to refuse one. Package provider tests the
// reasons in detail.
func TestRefusedBodies(t *testing.T) {
	refused(t, ordersPath, "", "empty_body")
	for code, body := range unreadableBodies {
		refused(t, ordersPath, body, code)
	}
	refused(t, disputesPath, dispute("amount", `1`, "currency", `"US"`), "invalid_currency")
	refused(t, disputesPath, dispute("user_id", `"`+strings.Repeat("a", 256)+`"`), "field_too_long")
}

func TestOtherContracts(t *testing.T) {
	for name, bodies := range map[string][]string{
		"a Stripe event": {`{"object":"event","id":"evt_1","type":"charge.refunded","data":{"object":{"object":"charge","status":"succeeded"}}}`,
			`{"object":"v2.core.event","id":"evt_test_1","type":"v1.billing.meter.error"}`},
		"an Adyen notification": {`{"live":"false","notificationItems":[{"NotificationRequestItem":{"eventCode":"AUTHORISATION"}}]}`},
		"a PayPal event":        {`{"id":"WH-1","event_type":"CUSTOMER.DISPUTE.CREATED","resource":{},"resource_type":"dispute"}`},
		"a Solidgate event":     {`{"order":{"order_id":"1"},"transactions":{"1":{}}}`, `{"order":{"order_id":"1"},"transaction":{"id":"1"}}`, `{"chargeback":{"id":1},"chargeback_flow":{"1":{}}}`},
	} {
		for _, body := range bodies {
			for _, path := range []string{ordersPath, disputesPath} {
				if got := refused(t, path, body, "other_contract"); !strings.Contains(got.Error.Message, name) {
					t.Errorf("message = %q, want it to name %s", got.Error.Message, name)
				}
			}
		}
	}
	// These may have a member of another contract, and belong to this one.
	for _, body := range []string{
		order("status", `7`, "object", `"event"`, "id", `"evt_1"`, "type", `"x"`),
		order("status", `7`, "provider_event_id", "", "event_type", `"x"`, "resource", `{}`),
		order("status", `7`, "order_id", "", "notificationItems", `[1]`),
		`{"object":"event","id":"evt_1"}`, `{"object":"charge","id":"evt_1","type":"x"}`, `{"object":"event","id":"ch_1","type":"x"}`,
		`{"notificationItems":[]}`, `{"event_type":"x"}`, `{"resource":{}}`, `{"order":{"order_id":"1"}}`, `{"transactions":[1]}`, `{"chargeback":{}}`,
	} {
		if got := post(t, handler(t, &recorder{}), ordersPath, body); got.Error.Code == "other_contract" || got.status != http.StatusBadRequest {
			t.Errorf("answer to %s = %d %s, want 400 and not other_contract", body, got.status, got.raw)
		}
	}
	accepted(t, ordersPath, order("object", `"event"`, "id", `"evt_1"`, "type", `"x"`))
}
