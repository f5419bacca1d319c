package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// answering is an Applier that says one thing.
func answering(outcomes []*payrelayv1.Outcome, err error) *recorder {
	return &recorder{apply: func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		return outcomes, err
	}}
}

func TestEveryVerdictIs2xx(t *testing.T) {
	for number := range payrelayv1.Verdict_name {
		v := payrelayv1.Verdict(number)
		want := map[payrelayv1.Verdict]struct {
			status int
			name   string
		}{
			payrelayv1.Verdict_VERDICT_APPLIED:       {200, "applied"},
			payrelayv1.Verdict_VERDICT_DUPLICATE:     {200, "duplicate"},
			payrelayv1.Verdict_VERDICT_STALE:         {200, "stale"},
			payrelayv1.Verdict_VERDICT_DEAD_LETTERED: {200, "dead_lettered"},
			payrelayv1.Verdict_VERDICT_QUEUED:        {202, "queued"},
		}[v]
		got := post(t, handler(t, answering(verdict(v), nil)), ordersPath, order())
		if v == payrelayv1.Verdict_VERDICT_UNSPECIFIED {
			wantRefusal(t, got, http.StatusServiceUnavailable, "unavailable")
			continue
		}
		if got.status != want.status || got.Verdict != want.name || got.Reason != "" && want.name != "dead_lettered" {
			t.Errorf("%s: got %d %s", v, got.status, got.raw)
		}
		if got.RequestID == "" || got.RequestID != got.header.Get("X-Request-Id") {
			t.Errorf("%s: request id %q, header %q", v, got.RequestID, got.header.Get("X-Request-Id"))
		}
		if kind := got.header.Get("Content-Type"); kind != "application/json" {
			t.Errorf("%s: content type %q", v, kind)
		}
	}
}

func TestDeadLetterHasItsReason(t *testing.T) {
	outcome := &payrelayv1.Outcome{
		Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED,
		Reason:  payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION,
	}
	got := post(t, handler(t, answering([]*payrelayv1.Outcome{outcome}, nil)), ordersPath, order())
	if got.status != http.StatusOK || got.Verdict != "dead_lettered" || got.Reason != "illegal_transition" {
		t.Errorf("got %d %s", got.status, got.raw)
	}
}

// codedError is how a transport declares that an error is final, and how
// anything else may have a code that says nothing of the kind.
type codedError string

func (e codedError) Error() string { return "the transport's words" }
func (e codedError) Code() string  { return string(e) }

func TestApplyErrors(t *testing.T) {
	for _, c := range []struct {
		name     string
		outcomes []*payrelayv1.Outcome
		err      error
		status   int
		code     string
	}{
		{"plain", nil, errors.New("connection refused"), 503, "unavailable"},
		{"deadline", nil, context.DeadlineExceeded, 503, "unavailable"},
		{"outcomes too", verdict(payrelayv1.Verdict_VERDICT_APPLIED), errors.New("cut off"), 503, "unavailable"},
		{"too large for the wire", nil, fmt.Errorf("publish: %w", payments.ErrTooLarge), 413, "body_too_large"},
		{"code of something else", nil, codedError("invalid_argument"), 503, "unavailable"},
		{"size of something else", nil, &http.MaxBytesError{Limit: 1}, 503, "unavailable"},
		{"no outcome", nil, nil, 503, "unavailable"},
		{"two outcomes", append(verdict(1), verdict(1)...), nil, 503, "unavailable"},
		{"nil outcome", []*payrelayv1.Outcome{nil}, nil, 503, "unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			next := answering(c.outcomes, c.err)
			wantRefusal(t, post(t, handler(t, next), ordersPath, order()), c.status, c.code)
			next.only(t)
		})
	}
}

func TestPanicIs500AndLogged(t *testing.T) {
	var log buffer
	cfg := testConfig()
	next := &recorder{apply: func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) { panic("a bug") }}
	s := serve(t, cfg, next, defaultTimeouts(cfg.Timeout), &log)
	got := post(t, s.http.Handler, ordersPath, order())
	wantRefusal(t, got, http.StatusInternalServerError, "internal")
	for _, want := range []string{"a bug", "answer_test.go", got.Error.RequestID, "level=ERROR"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log does not hold %q:\n%s", want, log.String())
		}
	}
	if len(s.slots) != 0 {
		t.Error("the webhook's slot is still taken")
	}
}

func TestLogHoldsNoBody(t *testing.T) {
	var log buffer
	cfg := testConfig()
	s := serve(t, cfg, &recorder{}, defaultTimeouts(cfg.Timeout), &log)
	good := post(t, s.http.Handler, ordersPath, order("card", `"4111111111111111"`))
	bad := post(t, s.http.Handler, ordersPath, order("card", `"4111111111111111"`, "status", `7`))
	twice := post(t, s.http.Handler, ordersPath, `{"4111111111111111":1,"4111111111111111":2}`)
	wantRefusal(t, twice, http.StatusBadRequest, "duplicate_key")
	if strings.Contains(log.String(), "4111") {
		t.Error("the log holds a part of the body")
	}
	for _, want := range []string{good.RequestID, "evt-1", bad.Error.RequestID, "invalid_field"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log does not hold %q:\n%s", want, log.String())
		}
	}
}

func TestRequestIDIsOurs(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, ordersPath, strings.NewReader(order()))
	r.Header.Set("X-Request-Id", "theirs")
	h := handler(t, &recorder{})
	first, second := do(t, h, r), post(t, h, ordersPath, order())
	if first.RequestID == "theirs" || first.RequestID == second.RequestID {
		t.Errorf("request ids %q and %q", first.RequestID, second.RequestID)
	}
}
