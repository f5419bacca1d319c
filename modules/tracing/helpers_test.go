package tracing

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

var discard = slog.New(slog.DiscardHandler)

var errDown = errors.New("the database of 4111111111111111 is down")

// hide stands for the function that masks the numbers of cards.
func hide(text string) string { return strings.ReplaceAll(text, "4111111111111111", "****") }

// recording returns a Tracer whose spans are recorded.
func recording(t *testing.T, sampler sdk.Sampler) (*Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	tracer := newTracer(Config{Mask: hide, Log: discard}, sdk.NewTracerProvider(sdk.WithSampler(sampler), sdk.WithSpanProcessor(recorder)))
	t.Cleanup(tracer.Close)
	return tracer, recorder
}

// spans returns the ended spans of a name.
func spans(recorder *tracetest.SpanRecorder, name string) (found []sdk.ReadOnlySpan) {
	for _, span := range recorder.Ended() {
		if span.Name() == name {
			found = append(found, span)
		}
	}
	return found
}

func only(t *testing.T, recorder *tracetest.SpanRecorder, name string) sdk.ReadOnlySpan {
	t.Helper()
	found := spans(recorder, name)
	if len(found) != 1 {
		t.Fatalf("%d spans are called %s, want 1", len(found), name)
	}
	return found[0]
}

func attributeOf(span sdk.ReadOnlySpan, key string) string {
	for _, a := range span.Attributes() {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// begin begins a webhook and returns its update.
func begin(t *Tracer, event string) (context.Context, Webhook, *payrelayv1.Update) {
	ctx, webhook := t.Begin(httptest.NewRequest("POST", "/webhooks/shop", nil), "shop")
	return ctx, webhook, &payrelayv1.Update{Provider: "shop", EventId: event, OrderId: "order-1", RequestId: "request-" + event, Traceparent: webhook.Traceparent()}
}

// returning is an Applier that returns the same result to every call.
func returning(outcomes []*payrelayv1.Outcome, err error) payments.Applier {
	return payments.ApplierFunc(func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) { return outcomes, err })
}

// database is a Store that finds and writes nothing.
type database struct {
	payments.Store
	err error
}

func (d database) Load(context.Context, payments.Lookup) (*payments.Snapshot, error) {
	return new(payments.Snapshot), d.err
}
func (d database) Commit(context.Context, *payments.Changes) error { return d.err }
