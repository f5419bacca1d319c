package ingest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// TestOneRequestIsAppliedAtMostOnce sends valid and damaged webhooks, while the
// Applier returns outcomes and errors at random. Each webhook is applied at most once,
// the answer agrees with whether it was, and a 2xx needs a verdict.
func TestOneRequestIsAppliedAtMostOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type result struct {
		outcomes []*payrelayv1.Outcome
		err      error
	}
	results := []result{
		{verdict(payrelayv1.Verdict_VERDICT_APPLIED), nil}, {verdict(payrelayv1.Verdict_VERDICT_QUEUED), nil},
		{nil, errors.New("down")}, {nil, payments.ErrTooLarge}, {nil, nil},
	}
	var now result
	next := &recorder{apply: func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		return now.outcomes, now.err
	}}
	h := handler(t, next)
	for i := range 5000 {
		before := next.count()
		now = results[random.IntN(len(results))]
		path, body := ordersPath, []byte(order("meta", `{"amount":"1.00","currency":"USD"}`))
		if random.IntN(2) == 0 {
			path, body = disputesPath, []byte(dispute("amount", `1.00`, "currency", `"USD"`))
		}
		for range random.IntN(3) {
			body[random.IntN(len(body))] = "{}[]\":,\\ \x00\xff0aA"[random.IntN(14)]
		}
		got := post(t, h, path, string(body))
		called := got.Error.Code == "unavailable" || got.status == http.StatusRequestEntityTooLarge || got.status < 300
		if calls := next.count() - before; calls > 1 || (calls == 1) != called {
			t.Fatalf("webhook %d: POST(%q) = %d %s after %d calls of Apply", i, body, got.status, got.raw, calls)
		}
		if good := now.err == nil && len(now.outcomes) == 1; got.status < 300 && !good {
			t.Fatalf("webhook %d: POST(%q) = %d without a verdict", i, body, got.status)
		}
	}
}
