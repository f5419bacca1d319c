package tracing

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

const sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestVariables(t *testing.T) {
	for name, test := range map[string]struct {
		env     map[string]string
		enabled bool
		wrong   string // what the error names
	}{
		"none":              {nil, false, ""},
		"an endpoint":       {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, true, ""},
		"one of traces":     {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, true, ""},
		"an exporter":       {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		"gRPC":              {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true, ""},
		"gRPC of traces":    {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "x", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, true, ""},
		"no exporter":       {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		"disabled":          {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"}, false, ""},
		"another exporter":  {map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, true, "OTEL_TRACES_EXPORTER"},
		"another protocol":  {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, true, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"a wrong attribute": {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_RESOURCE_ATTRIBUTES": "team"}, true, "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER",
				"OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_RESOURCE_ATTRIBUTES"} {
				t.Setenv(variable, test.env[variable])
			}
			if got := Enabled(); got != test.enabled {
				t.Errorf("Enabled() = %t, want %t", got, test.enabled)
			}
			tracer, err := New(t.Context(), Config{Log: discard})
			t.Cleanup(tracer.Close) // may be nil
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("New() = %v, want an error about %s", err, test.wrong)
				}
			} else if err != nil || (tracer != nil) != test.enabled {
				t.Errorf("New() = %v, %v, want a Tracer: %t", tracer, err, test.enabled)
			}
		})
	}
}

// A nil Tracer returns what it is given: without traces, nothing is wrapped.
func TestOff(t *testing.T) {
	var off *Tracer
	next := new(countingApplier)
	for _, got := range []payments.Applier{off.Relay(payments.Kafka, next), off.Call(next), off.Ledger(next)} {
		if got != payments.Applier(next) {
			t.Errorf("an Applier of a nil Tracer = %T, want what it was given", got)
		}
	}
	if got := off.Store("sqlite", database{}); got != payments.Store(database{}) {
		t.Errorf("Store() of a nil Tracer = %T, want what it was given", got)
	}
	if interceptors, err := off.Interceptors(); interceptors != nil || err != nil {
		t.Errorf("Interceptors() of a nil Tracer = %v, %v, want none", interceptors, err)
	}
	off.Close()
}

type countingApplier struct{ outcomes []*payrelayv1.Outcome }

func (a *countingApplier) Apply(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	return a.outcomes, nil
}

// Updates that are not traced cost nothing on their way, also while others are.
func TestUpdatesThatAreNotTracedCostNothing(t *testing.T) {
	tracer, recorder := recording(t, sdk.AlwaysSample())
	next := new(countingApplier)
	updates := []*payrelayv1.Update{{}, {Traceparent: "garbage"}, {Traceparent: sent[:len(sent)-1] + "0"}}
	ctx := context.Background()
	for name, applier := range map[string]payments.Applier{
		"Relay": tracer.Relay(payments.Kafka, next), "Call": tracer.Call(next), "Ledger": tracer.Ledger(next),
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = applier.Apply(ctx, updates) }); n != 0 {
			t.Errorf("%s allocates %v objects, want 0", name, n)
		}
	}
	if n := len(recorder.Ended()); n != 0 {
		t.Errorf("%d spans, want 0", n)
	}
}

func TestWebhook(t *testing.T) {
	tracer, recorder := recording(t, sdk.AlwaysSample())
	r := httptest.NewRequest(http.MethodPost, "/webhooks/shop", nil)
	r.Header.Set("Traceparent", sent)
	ctx, webhook := tracer.Begin(r, "shop")
	if id := ID(ctx); id == "" || webhook.Traceparent() != "00-"+id+"-"+trace.SpanContextFromContext(ctx).SpanID().String()+"-01" {
		t.Errorf("Traceparent() = %s, ID() = %s", webhook.Traceparent(), id)
	}
	webhook.End(Answered{RequestID: "R", EventID: "evt-4111111111111111", OrderID: "order-1", Refusal: "unavailable", Status: 503})
	span := only(t, recorder, "POST /webhooks/{source}")
	if span.Parent().IsValid() || len(span.Links()) != 1 || span.Links()[0].SpanContext.TraceID().String() != sent[3:35] || span.SpanContext().TraceID().String() == sent[3:35] {
		t.Errorf("parent %v, links %v, want a root with a link to the provider's span", span.Parent(), span.Links())
	}
	for key, want := range map[string]string{
		"payrelay.source": "shop", "payrelay.request_id": "R", "payrelay.event_id": "evt-****", "payrelay.order_id": "order-1",
		"payrelay.verdict": "", "error.type": "unavailable", "http.response.status_code": "503",
	} {
		if got := attributeOf(span, key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	if span.Status().Code != codes.Error || span.SpanKind() != trace.SpanKindServer {
		t.Errorf("status %v, kind %v, want an error of a server", span.Status(), span.SpanKind())
	}
}

// The provider cannot make a webhook be traced that the sampler leaves out.
func TestTheSamplerDecides(t *testing.T) {
	tracer, recorder := recording(t, sdk.ParentBased(sdk.NeverSample(), sdk.WithRemoteParentSampled(sdk.AlwaysSample())))
	r := httptest.NewRequest(http.MethodPost, "/webhooks/shop", nil)
	r.Header.Set("Traceparent", sent)
	ctx, webhook := tracer.Begin(r, "shop")
	webhook.End(Answered{Status: 200})
	if ID(ctx) != "" || webhook.Traceparent() != "" || len(recorder.Ended()) != 0 {
		t.Errorf("ID() = %q, Traceparent() = %q, %d spans, want none", ID(ctx), webhook.Traceparent(), len(recorder.Ended()))
	}
}

// A receiver that is down costs one line a minute.
func TestDroppedSpansAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		d := &dropped{log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 24 { // two minutes
			d.Handle(errDown)
			time.Sleep(5 * time.Second)
		}
		if n := strings.Count(log.String(), "traces cannot be sent"); n != 2 || !strings.Contains(log.String(), "errors=1 ") || !strings.Contains(log.String(), "errors=12 ") {
			t.Errorf("the log has %d lines, want 2, of 1 and 12 errors:\n%s", n, log.String())
		}
	})
}

// A webhook that the sampler leaves out costs little: the library makes an ID to decide.
func TestWebhookThatIsNotSampledIsCheap(t *testing.T) {
	tracer, _ := recording(t, sdk.ParentBased(sdk.TraceIDRatioBased(0)))
	r := httptest.NewRequest(http.MethodPost, "/webhooks/shop", nil)
	r.Header.Set("Traceparent", sent)
	if n := testing.AllocsPerRun(100, func() { _, _ = tracer.Begin(r, "shop") }); n > 8 {
		t.Errorf("Begin allocates %v objects, want at most 8", n)
	} else {
		t.Logf("Begin allocates %v objects", n)
	}
}

func TestRemote(t *testing.T) {
	if span := remote(sent); !span.IsSampled() || !span.IsRemote() || span.SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("remote(%s) = %v", sent, span)
	}
	for _, text := range []string{
		"", sent[1:], "01" + sent[2:], sent + "-x", strings.Replace(sent, "-", "_", 2), strings.ToUpper(sent), "00-" + strings.Repeat("0", 32) + sent[35:],
		sent[:36] + strings.Repeat("0", 16) + sent[52:], sent[:53] + "zz", strings.Repeat("-", len(sent)),
	} {
		if span := remote(text); span.IsSampled() {
			t.Errorf("remote(%q) = %v, want none", text, span)
		}
	}
}

// TestUpdateID checks that an exemplar refers to a webhook only if it is traced.
func TestUpdateID(t *testing.T) {
	for traceparent, want := range map[string]string{
		"": "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":                           "4bf92f3577b34da6a3ce929d0e0e4736",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00":                           "", // not sampled
		"00-4bf92f3577b34da6a3ce929d0e0e47zz-00f067aa0ba902b7-01":                           "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01" + strings.Repeat("x", 99): "",
	} {
		if got := UpdateID(&payrelayv1.Update{Traceparent: traceparent}); got != want {
			t.Errorf("UpdateID(%q) = %q, want %q", traceparent, got, want)
		}
	}
}
