package tracing

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

func TestRelay(t *testing.T) {
	tracer, recorder := recording(t, sdk.AlwaysSample())
	ctx, webhook, update := begin(tracer, "evt-1")
	for mode, want := range map[payments.Mode]trace.SpanKind{payments.Kafka: trace.SpanKindProducer, payments.GRPC: trace.SpanKindInternal} {
		_, err := tracer.Relay(mode, returning(nil, errDown)).Apply(ctx, []*payrelayv1.Update{update})
		if !errors.Is(err, errDown) {
			t.Errorf("Apply() = %v, want %v", err, errDown)
		}
		ended := spans(recorder, "relay")
		span := ended[len(ended)-1]
		if span.Parent().SpanID() != webhook.span.SpanContext().SpanID() || span.SpanKind() != want || attributeOf(span, "payrelay.mode") != string(mode) {
			t.Errorf("relay by %s = parent %v, kind %v, %v", mode, span.Parent(), span.SpanKind(), span.Attributes())
		}
		if span.Status().Code != codes.Error || span.Status().Description != "the database of **** is down" {
			t.Errorf("status = %v, want the masked error", span.Status())
		}
	}
}

// A batch has three members, of which the second is not traced.
func TestLedger(t *testing.T) {
	for name, fails := range map[string]error{"applied": nil, "failed": errDown} {
		tracer, recorder := recording(t, sdk.AlwaysSample())
		_, first, one := begin(tracer, "evt-1")
		_, second, three := begin(tracer, "evt-3")
		store := tracer.Store("sqlite", database{err: fails})
		outcomes := []*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}, {Verdict: payrelayv1.Verdict_VERDICT_APPLIED},
			{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT}}
		ledger := payments.ApplierFunc(func(ctx context.Context, _ []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			_, _ = store.Load(ctx, payments.Lookup{}) // its error is that of Commit
			if err := store.Commit(ctx, nil); err != nil {
				return nil, err
			}
			return outcomes, nil
		})
		if _, err := tracer.Ledger(ledger).Apply(t.Context(), []*payrelayv1.Update{one, {}, three}); !errors.Is(err, fails) {
			t.Errorf("%s: Apply() = %v, want %v", name, err, fails)
		}
		batch := only(t, recorder, "ledger")
		if len(batch.Links()) != 2 || batch.Links()[0].SpanContext.SpanID() != first.span.SpanContext().SpanID() || batch.Links()[1].SpanContext.SpanID() != second.span.SpanContext().SpanID() {
			t.Errorf("%s: links of the batch = %v, want the two webhooks", name, batch.Links())
		}
		if batch.Parent().SpanID() != first.span.SpanContext().SpanID() || attributeOf(batch, "payrelay.updates") != "3" {
			t.Errorf("%s: parent of the batch = %v, %v, want the first webhook and 3 updates", name, batch.Parent(), batch.Attributes())
		}
		for _, operation := range []string{"load sqlite", "commit sqlite"} {
			if span := only(t, recorder, operation); span.Parent().SpanID() != batch.SpanContext().SpanID() || (span.Status().Code == codes.Error) != (fails != nil) {
				t.Errorf("%s: %s = parent %v, %v", name, operation, span.Parent(), span.Status())
			}
		}
		applied, commits := spans(recorder, "apply"), spans(recorder, "commit")
		if len(applied) != 2 || len(commits) != 2 {
			t.Fatalf("%s: %d spans apply and %d spans commit, want 2 and 2", name, len(applied), len(commits))
		}
		for i, webhook := range []Webhook{first, second} {
			span := applied[i]
			if span.Parent().SpanID() != webhook.span.SpanContext().SpanID() || len(span.Links()) != 1 || span.Links()[0].SpanContext.SpanID() != batch.SpanContext().SpanID() {
				t.Errorf("%s: apply %d = parent %v, links %v, want the webhook and the batch", name, i, span.Parent(), span.Links())
			}
			if commits[i].Parent().SpanID() != span.SpanContext().SpanID() || commits[i].StartTime().Before(span.StartTime()) || commits[i].EndTime().After(span.EndTime()) {
				t.Errorf("%s: commit %d is not within its apply", name, i)
			}
			if (span.Status().Code == codes.Error) != (fails != nil) {
				t.Errorf("%s: status of apply %d = %v", name, i, span.Status())
			}
		}
		if last := applied[1]; fails == nil && (attributeOf(last, "payrelay.verdict") != "dead_lettered" || attributeOf(last, "payrelay.reason") != "conflict" || attributeOf(last, "payrelay.request_id") != "request-evt-3") {
			t.Errorf("attributes of the dead letter = %v", last.Attributes())
		}
	}
}

// A duplicate writes nothing, so it has no commit.
func TestDuplicateHasNoCommit(t *testing.T) {
	tracer, recorder := recording(t, sdk.AlwaysSample())
	_, _, update := begin(tracer, "evt-1")
	duplicate := []*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_DUPLICATE}}
	if _, err := tracer.Ledger(returning(duplicate, nil)).Apply(t.Context(), []*payrelayv1.Update{update}); err != nil {
		t.Fatal(err)
	}
	if only(t, recorder, "apply"); len(spans(recorder, "commit")) != 0 {
		t.Error("a duplicate has a span commit")
	}
}

func TestCall(t *testing.T) {
	tracer, recorder := recording(t, sdk.AlwaysSample())
	_, _, one := begin(tracer, "evt-1")
	_, _, two := begin(tracer, "evt-2")
	var within string
	next := payments.ApplierFunc(func(ctx context.Context, _ []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		within = ID(ctx)
		return nil, nil
	})
	if _, err := tracer.Call(next).Apply(t.Context(), []*payrelayv1.Update{one, two}); err != nil {
		t.Fatal(err)
	}
	if span := only(t, recorder, "call"); len(span.Links()) != 2 || span.SpanContext().TraceID().String() != within || remote(one.GetTraceparent()).TraceID().String() != within {
		t.Errorf("call = %v, links %v, within %s", span.SpanContext(), span.Links(), within)
	}
}
