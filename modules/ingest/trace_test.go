package ingest

import (
	"context"
	"io"
	"net/http"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

type traceKey struct{}

// TestWebhooksAreTraced checks that the span of a webhook covers it, whatever its answer,
// and that its updates and the Applier get its trace.
func TestWebhooksAreTraced(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, test := range map[string]struct {
		body            string
		apply           func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)
		status          int
		event, refusal  string
		verdict, source string
	}{
		"accepted":    {order(), nil, http.StatusOK, "evt-1", "", "applied", "generic"},
		"refused":     {order("status", `7`), nil, http.StatusBadRequest, "evt-1", "invalid_field", "", "generic"},
		"unavailable": {order(), returning(nil, io.ErrUnexpectedEOF).apply, http.StatusServiceUnavailable, "evt-1", "unavailable", "", "generic"},
		"a panic": {order(), func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) { panic("a bug") },
			http.StatusInternalServerError, "evt-1", "internal", "", "generic"},
	} {
		var began string
		var ended []Observation
		cfg, next := testConfig(), &recorder{}
		next.apply = func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			if updates[0].GetTraceparent() != parent || ctx.Value(traceKey{}) != "traced" {
				t.Errorf("%s: Apply() got the trace %q and the context %v, want those of the webhook", name, updates[0].GetTraceparent(), ctx.Value(traceKey{}))
			}
			if test.apply != nil {
				return test.apply(ctx, updates)
			}
			return verdict(payrelayv1.Verdict_VERDICT_APPLIED), nil
		}
		cfg.Trace = func(r *http.Request, source string) (context.Context, Span) {
			began = source
			return context.WithValue(r.Context(), traceKey{}, "traced"), Span{Traceparent: parent, End: func(seen *Observation) { ended = append(ended, *seen) }}
		}
		got := post(t, serve(t, cfg, next, defaultTimeouts(cfg.Timeout), io.Discard).http.Handler, ordersPath, test.body)
		if len(ended) != 1 || began != test.source {
			t.Errorf("%s: %d spans of %q ended, want one of %q", name, len(ended), began, test.source)
			continue
		}
		seen := ended[0]
		if got.status != test.status || seen.Status != test.status || seen.Refusal != test.refusal || seen.Verdict != test.verdict || seen.RequestID != got.header.Get("X-Request-Id") ||
			seen.EventID != test.event || seen.Traceparent != parent {
			t.Errorf("%s: the span ended with %+v, want %+v", name, seen, test)
		}
	}
}
