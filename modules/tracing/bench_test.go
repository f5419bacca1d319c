package tracing

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// BenchmarkWebhooks traces 16 webhooks that share a call and a batch, by the share of
// webhooks that are sampled.
func BenchmarkWebhooks(b *testing.B) {
	for name, ratio := range map[string]float64{"none sampled": 0, "all sampled": 1} {
		b.Run(name, func(b *testing.B) {
			provider := sdk.NewTracerProvider(sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(ratio))), sdk.WithBatcher(tracetest.NewNoopExporter()))
			tracer := newTracer(Config{Mask: func(text string) string { return text }, Log: slog.New(slog.DiscardHandler)}, provider)
			defer tracer.Close()
			outcomes := make([]*payrelayv1.Outcome, 16)
			store := tracer.Store("sqlite", database{})
			ledger := tracer.Call(tracer.Ledger(payments.ApplierFunc(func(ctx context.Context, _ []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
				return outcomes, store.Commit(ctx, nil)
			})))
			relay := tracer.Relay(payments.GRPC, returning(nil, nil))
			r := httptest.NewRequest(http.MethodPost, "/webhooks/shop", nil)
			updates := make([]*payrelayv1.Update, len(outcomes))
			for i := range updates {
				updates[i] = &payrelayv1.Update{Provider: "shop", EventId: "event-1", OrderId: "order-1", RequestId: "3QLXCVBK2SMHWQHY6J4ZFO5PDA"}
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, update := range updates {
					ctx, webhook := tracer.Begin(r, "shop")
					update.Traceparent = webhook.Traceparent()
					_, _ = relay.Apply(ctx, updates[:1]) // never fails
					webhook.End(Answered{RequestID: update.GetRequestId(), EventID: update.GetEventId(), OrderID: update.GetOrderId(), Verdict: "applied", Status: 200})
				}
				_, _ = ledger.Apply(b.Context(), updates) // never fails
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(updates)), "ns/webhook")
		})
	}
}
