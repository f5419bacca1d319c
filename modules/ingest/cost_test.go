package ingest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/bench/costtest"
)

// applied is an Applier that returns APPLIED and does not allocate.
type applied []*payrelayv1.Outcome

func (a applied) Apply(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	return a, nil
}

func TestCosts(t *testing.T) {
	decode := func(f format, body string) func() {
		return func() {
			if _, _, err := newUpdate([]byte(body), genericSource, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	costtest.Allocations(t, "decode an order", decode(genericOrder, orderWebhook))
	costtest.Allocations(t, "decode a dispute", decode(genericDispute, `{"provider_event_id":"e","order_id":"o","status":"opened",`+
		`"reason":"fraud","amount":100.50,"currency":"USD","occurred_at":"2026-01-05T10:00:00Z"}`))

	h := handler(t, applied(verdict(payrelayv1.Verdict_VERDICT_APPLIED)))
	costtest.Allocations(t, "answer an order, with a request and a recorder", func() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, ordersPath, strings.NewReader(orderWebhook))); w.Code != http.StatusOK {
			t.Fatal(w.Code, w.Body)
		}
	})
}
