package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// returning returns an Applier with the same result for every call.
func returning(outcomes []*payrelayv1.Outcome, err error) *recorder {
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
		got := post(t, handler(t, returning(verdict(v), nil)), ordersPath, order())
		if v == payrelayv1.Verdict_VERDICT_UNSPECIFIED {
			wantRefusal(t, got, http.StatusServiceUnavailable, "unavailable")
			continue
		}
		if got.status != want.status || got.Verdict != want.name || got.Reason != "" && want.name != "dead_lettered" {
			t.Errorf("answer to %s = %d %s, want %d %s", v, got.status, got.raw, want.status, want.name)
		}
		if got.RequestID == "" || got.RequestID != got.header.Get("X-Request-Id") {
			t.Errorf("answer to %s has the request ID %q, and %q in its header", v, got.RequestID, got.header.Get("X-Request-Id"))
		}
		if kind := got.header.Get("Content-Type"); kind != "application/json" {
			t.Errorf("answer to %s has Content-Type %q, want application/json", v, kind)
		}
	}
}

func TestDeadLetterIsAnsweredWithItsReason(t *testing.T) {
	outcome := &payrelayv1.Outcome{
		Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED,
		Reason:  payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION,
	}
	got := post(t, handler(t, returning([]*payrelayv1.Outcome{outcome}, nil)), ordersPath, order())
	if got.status != http.StatusOK || got.Verdict != "dead_lettered" || got.Reason != "illegal_transition" {
		t.Errorf("answer = %d %s, want 200 dead_lettered, illegal_transition", got.status, got.raw)
	}
}

// TestAnswersAsText checks the names in the JSON of the answers, which senders read.
func TestAnswersAsText(t *testing.T) {
	dead := &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT}
	h := handler(t, returning([]*payrelayv1.Outcome{dead}, nil))
	for body, want := range map[string]string{
		order():              `{"verdict":"dead_lettered","reason":"conflict","request_id":"ID"}`,
		order("amount", `1`): `{"verdict":"dead_lettered","reason":"conflict","ignored":["amount"],"request_id":"ID"}`,
		"[1]":                `{"error":{"code":"not_an_object","message":"the body is not a JSON object: send the webhook as one","request_id":"ID"}}`,
	} {
		got := post(t, h, ordersPath, body)
		text := strings.ReplaceAll(strings.TrimSpace(string(got.raw)), got.header.Get("X-Request-Id"), "ID")
		if text != want {
			t.Errorf("answer to %s = %s, want %s", body, text, want)
		}
	}
}

// codedError is an error with a code that has no meaning for this package.
type codedError string

func (e codedError) Error() string { return "text of the transport" }
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
		{"another code", nil, codedError("invalid_argument"), 503, "unavailable"},
		{"size of another body", nil, &http.MaxBytesError{Limit: 1}, 503, "unavailable"},
		{"no outcome", nil, nil, 503, "unavailable"},
		{"two outcomes", append(verdict(1), verdict(1)...), nil, 503, "unavailable"},
		{"nil outcome", []*payrelayv1.Outcome{nil}, nil, 503, "unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log buffer
			next, cfg := returning(c.outcomes, c.err), testConfig()
			got := post(t, serve(t, cfg, next, defaultTimeouts(cfg.Timeout), &log).http.Handler, ordersPath, order())
			wantRefusal(t, got, c.status, c.code)
			next.only(t)
			for _, part := range []string{"request_id=" + got.Error.RequestID, "code=" + c.code, "source=generic event_id=evt-1 order_id=order-1",
				fmt.Sprintf("body_sha256=%x", sha256.Sum256([]byte(order())))} {
				if !strings.Contains(log.String(), part) {
					t.Errorf("the log does not contain %s:\n%s", part, log.String())
				}
			}
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
			t.Errorf("the log does not contain %q:\n%s", want, log.String())
		}
	}
	if len(s.slots) != 0 {
		t.Errorf("%d slots are taken after the answer, want 0", len(s.slots))
	}
}

func TestLogContainsNoBody(t *testing.T) {
	var log buffer
	cfg := testConfig()
	s := serve(t, cfg, &recorder{}, defaultTimeouts(cfg.Timeout), &log)
	good := post(t, s.http.Handler, ordersPath, order("card", `"4111111111111111"`))
	bad := post(t, s.http.Handler, ordersPath, order("card", `"4111111111111111"`, "status", `7`))
	twice := post(t, s.http.Handler, ordersPath, order("note", `"4111111111111111"`, "STATUS", `"4111111111111111"`))
	wantRefusal(t, twice, http.StatusBadRequest, "duplicate_key")
	if strings.Contains(log.String(), "4111") {
		t.Errorf("the log contains a part of the body:\n%s", log.String())
	}
	for _, want := range []string{"request_id=" + good.RequestID, " event_id=evt-1 order_id=order-1 ", fmt.Sprintf("body_sha256=%x ", sha256.Sum256([]byte(order("card", `"4111111111111111"`)))), " status=200 verdict=applied ", " updates=1 bytes=", " duration=", "evt-1", bad.Error.RequestID, "invalid_field", "source=generic", "path=" + ordersPath, "order_id=order-1", "body_sha256="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not contain %q:\n%s", want, log.String())
		}
	}
}

func TestRequestIDOfTheClientIsIgnored(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, ordersPath, strings.NewReader(order()))
	r.Header.Set("X-Request-Id", "sent-by-the-client")
	h := handler(t, &recorder{})
	first, second := do(t, h, r), post(t, h, ordersPath, order())
	if first.RequestID == "sent-by-the-client" || first.RequestID == second.RequestID {
		t.Errorf("request IDs = %q and %q, want two new ones", first.RequestID, second.RequestID)
	}
}
