package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

const (
	orderJSON   = `{"provider":"generic","eventId":"e1","orderId":"order-1","occurredAt":"2026-01-04T10:00:00Z","order":{"status":"ORDER_STATUS_CREATED"}}`
	snakeJSON   = `{"provider":"generic","event_id":"e1","order_id":"order-1","occurred_at":"2026-01-04T10:00:00Z","order":{"status":"ORDER_STATUS_CREATED"}}`
	disputeJSON = `{"provider":"generic","event_id":"e2","order_id":"order-1","occurred_at":"2026-01-04T10:00:00Z","dispute":{"status":"DISPUTE_STATUS_OPEN"}}`
)

func post(t *testing.T, url, body string) reply {
	t.Helper()
	return send(t, http.MethodPost, url, []byte(body), "Content-Type", "application/json")
}

func TestRESTAppliesOneUpdate(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, "")
	for path, body := range map[string]string{
		"/internal/updates/orders#camel": orderJSON, "/internal/updates/orders#snake": snakeJSON, "/internal/updates/disputes": disputeJSON,
	} {
		got := post(t, url+path, body)
		if got.status != http.StatusOK || got.body != `{"verdict":"VERDICT_APPLIED"}` {
			t.Errorf("POST %s = %d %s, want 200 VERDICT_APPLIED", path, got.status, got.body)
		}
		update := next.last()[0]
		if update.GetOrderId() != "order-1" || len(update.GetRawBody()) != 0 {
			t.Errorf("POST %s applies %v, want order-1 without a body", path, update)
		}
	}
}

func TestRESTReturnsTheVerdict(t *testing.T) {
	next := &recorder{answer: func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		return []*payrelayv1.Outcome{{
			Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT,
		}}, nil
	}}
	got := post(t, startInternal(t, next, "")+"/internal/updates/orders", orderJSON)
	if got.status != http.StatusOK || got.body != `{"verdict":"VERDICT_DEAD_LETTERED","reason":"DEAD_LETTER_REASON_CONFLICT"}` {
		t.Errorf("answer = %d %s, want the verdict and the reason", got.status, got.body)
	}
}

func TestRESTRefusesBadBodies(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, "")
	tests := []struct{ name, path, body, code string }{
		{"empty", "orders", "", "empty_body"},
		{"not JSON", "orders", "hello", "invalid_json"},
		{"cut off", "orders", orderJSON[:20], "invalid_json"},
		{"two documents", "orders", orderJSON + orderJSON, "invalid_json"},
		{"null", "orders", "null", "invalid_json"},
		{"an array", "orders", "[" + orderJSON + "]", "invalid_json"},
		{"unknown field", "orders", strings.Replace(orderJSON, "provider", "providr", 1), "invalid_json"},
		{"repeated field", "orders", strings.Replace(orderJSON, "{", `{"order_id":"other",`, 1), "invalid_json"},
		{"unknown status", "orders", strings.Replace(orderJSON, "CREATED", "EATEN", 1), "invalid_json"},
		{"invalid UTF-8", "orders", strings.Replace(orderJSON, "order-1", "\xff", 1), "invalid_json"},
		{"two subjects", "orders", strings.Replace(orderJSON, "{", `{"dispute":{},`, 1), "invalid_json"},
		{"no subject", "orders", `{"provider":"generic"}`, "wrong_subject"},
		{"dispute as order", "orders", disputeJSON, "wrong_subject"},
		{"order as dispute", "disputes", orderJSON, "wrong_subject"},
		{"order as note", "notes", orderJSON, "wrong_subject"},
		{"no order id", "orders", strings.Replace(orderJSON, `"order-1"`, `""`, 1), "field_required"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			post(t, url+"/internal/updates/"+test.path, test.body).wantError(t, http.StatusBadRequest, test.code)
		})
	}
	if next.calls() != 0 {
		t.Errorf("Apply was called %d times, want 0", next.calls())
	}
}

func TestRESTRefusesBadRequests(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, "")
	orders := url + "/internal/updates/orders"
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions} {
		got := send(t, method, orders, nil)
		got.wantError(t, http.StatusMethodNotAllowed, "method_not_allowed")
		if allow := got.header.Values("Allow"); !slices.Equal(allow, []string{"POST"}) {
			t.Errorf("%s: Allow = %q, want POST", method, allow)
		}
	}
	post(t, url+"/internal/updates", orderJSON).wantError(t, http.StatusNotFound, "not_found")
	post(t, url+"/", orderJSON).wantError(t, http.StatusNotFound, "not_found")
	for _, mediaType := range []string{"", "text/plain", "application/xml", "application/json; charset=utf-16", "application/jsonx", ";"} {
		send(t, http.MethodPost, orders, []byte(orderJSON), "Content-Type", mediaType).
			wantError(t, http.StatusUnsupportedMediaType, "unsupported_media_type")
	}
	for _, encoding := range []string{"gzip", "br", "gzip, identity"} {
		send(t, http.MethodPost, orders, []byte(orderJSON), "Content-Type", "application/json", "Content-Encoding", encoding).
			wantError(t, http.StatusUnsupportedMediaType, "unsupported_encoding")
	}
	post(t, orders, strings.Repeat(" ", maxMessageBytes)+orderJSON).wantError(t, http.StatusRequestEntityTooLarge, "body_too_large")
	if next.calls() != 0 {
		t.Errorf("Apply was called %d times, want 0", next.calls())
	}
}

func TestRESTAcceptsEquivalentHeaders(t *testing.T) {
	orders := startInternal(t, &recorder{}, "") + "/internal/updates/orders"
	for _, headers := range [][]string{
		{"Content-Type", "application/json; charset=UTF-8"},
		{"Content-Type", "application/json", "Content-Encoding", "identity"},
		{"Content-Type", "application/json", "Content-Encoding", "Identity"},
		{"Content-Type", "application/json", "Content-Encoding", ""},
		{"Content-Type", "application/json; charset=utf8"},
		{"Content-Type", "application/json; charset=\"US-ASCII\""},
	} {
		if got := send(t, http.MethodPost, orders, []byte(orderJSON), headers...); got.status != http.StatusOK {
			t.Errorf("POST with %q = %d %s, want 200", headers, got.status, got.body)
		}
	}
}

// A Content-Encoding may be split into several header fields.
func TestRESTReadsEveryContentEncoding(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(orderJSON))
	r.Header = http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"identity", "gzip"}}
	if _, err := readUpdate(r); describe(err).code != "unsupported_encoding" {
		t.Errorf("readUpdate() = %v, want unsupported_encoding", err)
	}
}

func TestRESTSetsRetryAfter(t *testing.T) {
	for code, failure := range map[string]error{"unavailable": errors.New("no database"), "deadline_exceeded": context.DeadlineExceeded} {
		next := &recorder{answer: func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) { return nil, failure }}
		got := post(t, startInternal(t, next, "")+"/internal/updates/orders", orderJSON)
		got.wantError(t, http.StatusServiceUnavailable, code)
		if got.header.Get("Retry-After") == "" {
			t.Errorf("answer %s has no Retry-After", code)
		}
	}
}

func TestPanicOfApplyIsAnInternalError(t *testing.T) {
	next := &recorder{answer: func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) { panic("secret") }}
	url := startInternal(t, next, "")
	for range 2 {
		got := post(t, url+"/internal/updates/orders", orderJSON)
		got.wantError(t, http.StatusInternalServerError, "internal")
		if strings.Contains(got.body, "secret") {
			t.Errorf("answer = %s, want it without the panic", got.body)
		}
	}
}
