package tracing

import (
	"context"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Webhook is the span of one webhook.
type Webhook struct {
	t    *Tracer
	span trace.Span
}

// Answered describes an answered webhook for its span.
type Answered struct {
	RequestID, EventID, OrderID string // empty if unknown
	// Verdict is empty if the webhook was refused, and Refusal is the code then.
	Verdict, Refusal string
	Status           int
}

// Begin begins the trace of a webhook of a source. A traceparent of the provider is linked
// and not followed: otherwise the provider would decide what is traced.
func (t *Tracer) Begin(r *http.Request, source string) (context.Context, Webhook) {
	ctx, span := t.spans.Start(r.Context(), "POST /webhooks/{source}", webhookOptions...)
	if span.IsRecording() { // most are not
		span.SetAttributes(attribute.String("payrelay.source", source))
		if sent := remote(r.Header.Get("Traceparent")); sent.IsValid() {
			span.AddLink(trace.Link{SpanContext: sent})
		}
	}
	return ctx, Webhook{t, span}
}

var webhookOptions = []trace.SpanStartOption{
	trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", http.MethodPost), attribute.String("http.route", "/webhooks/{source}")),
}

// Traceparent returns the W3C trace context for the updates of the webhook, or nothing if
// it is not traced.
func (w Webhook) Traceparent() string {
	span := w.span.SpanContext()
	if !span.IsSampled() {
		return ""
	}
	return "00-" + span.TraceID().String() + "-" + span.SpanID().String() + "-01"
}

// End ends the span.
func (w Webhook) End(a Answered) {
	defer w.span.End()
	if !w.span.IsRecording() {
		return
	}
	w.span.SetAttributes(attribute.Int("http.response.status_code", a.Status), attribute.String("payrelay.request_id", a.RequestID))
	for key, value := range map[string]string{
		"payrelay.event_id": a.EventID, "payrelay.order_id": a.OrderID, "payrelay.verdict": a.Verdict, "error.type": a.Refusal,
	} {
		if value != "" {
			w.span.SetAttributes(w.t.text(key, value))
		}
	}
	if a.Status >= http.StatusInternalServerError {
		w.span.SetStatus(codes.Error, a.Refusal)
	}
}

// remote returns the span of a W3C traceparent of version 00. It is not valid if the text
// is not one.
func remote(traceparent string) trace.SpanContext {
	const version, traceEnd, spanEnd, size = 3, 35, 52, 55
	if len(traceparent) != size || traceparent[:version] != "00-" || traceparent[traceEnd] != '-' || traceparent[spanEnd] != '-' {
		return trace.SpanContext{}
	}
	traceID, err := trace.TraceIDFromHex(traceparent[version:traceEnd])
	if err != nil {
		return trace.SpanContext{}
	}
	spanID, err := trace.SpanIDFromHex(traceparent[traceEnd+1 : spanEnd])
	if err != nil {
		return trace.SpanContext{}
	}
	flags, err := strconv.ParseUint(traceparent[spanEnd+1:], 16, 8)
	if err != nil {
		return trace.SpanContext{}
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags), Remote: true})
}

// member is a traced update of a batch.
type member struct {
	index int
	span  trace.SpanContext // of its webhook
}

// membersOf returns the traced updates.
func membersOf(updates []*payrelayv1.Update) (members []member) {
	for i, update := range updates {
		if span := remote(update.GetTraceparent()); span.IsSampled() {
			members = append(members, member{i, span})
		}
	}
	return members
}
