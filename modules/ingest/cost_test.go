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
	h := handler(t, applied(verdict(payrelayv1.Verdict_VERDICT_APPLIED)))
	costtest.Allocations(t, "answer an order, with a request and a recorder", func() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, ordersPath, strings.NewReader(orderWebhook))); w.Code != http.StatusOK {
			t.Fatal(w.Code, w.Body)
		}
	})
}
