package admin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/payments"
)

// BenchmarkWholeWebhook measures all that the metrics of serve all cost for one webhook
// that is a batch of its own, which is the most.
func BenchmarkWholeWebhook(b *testing.B) {
	s := open(b, admin.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	defer s.Run(ctx)
	store, count, webhooks := s.MeasureStore(scriptedStore{}), s.Ledger(), s.Webhooks()
	changes := &payments.Changes{Events: []*payments.Event{event(payments.KindOrder, payrelayv1.Verdict_VERDICT_APPLIED)}}
	outcomes := []*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}}
	ledger := payments.ApplierFunc(func(ctx context.Context, _ []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		_, _ = store.Load(ctx, payments.Lookup{})
		err := store.Commit(ctx, changes)
		count(changes)
		return outcomes, err
	})
	stages := s.Instrument("ingest", s.Instrument("api", s.Instrument("ledger", s.Age(ledger))))
	updates := receivedNow()
	handler := s.HTTP("ingest", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		_, _ = stages.Apply(r.Context(), updates)
		w.WriteHeader(http.StatusOK)
		webhooks.Answered(r.Context(), admin.Webhook{Source: "shop", Result: "applied", Status: http.StatusOK, At: at, Latency: time.Since(at)})
	}))
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(w, r)
	}
}
