package ingest

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// following returns the lines of a stream of observations, after the client is known.
func following(t *testing.T, tail *Tail) *bufio.Scanner {
	t.Helper()
	server := httptest.NewServer(tail)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request) // the headers come after the client was added
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("follow = %v, %v, want 200", response, err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return bufio.NewScanner(response.Body)
}

func TestTail(t *testing.T) {
	var observed []Observation
	next := returning([]*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT}}, nil)
	cfg := withFile(t, signedSource)
	cfg.Observe = func(_ context.Context, seen *Observation) { observed = append(observed, *seen) }
	s := serve(t, cfg, next, quick(), new(buffer))
	postSigned(t, s.http.Handler, "/webhooks/signed/orders", order()) // before anyone follows
	lines := following(t, s.tail)
	read := func() (seen Observation) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &seen); err != nil {
			t.Fatalf("line %q: %v", lines.Bytes(), err)
		}
		return seen
	}
	accepted := postSigned(t, s.http.Handler, "/webhooks/signed/orders", order())
	got := read()
	if got.Time.IsZero() || got.RequestID != accepted.RequestID || got.Source != "signed" || got.Provider != "generic" || got.Remote.String() != "192.0.2.1" ||
		got.EventID != "evt-1" || got.OrderID != "order-1" || got.Updates != 1 || got.Verdict != "dead_lettered" || got.Reason != "conflict" ||
		got.Status != http.StatusOK || got.Refusal != "" || got.Bytes != len(order()) || got.Latency <= 0 {
		t.Errorf("observation = %+v", got)
	}
	refused := post(t, s.http.Handler, "/webhooks/signed/orders", order())
	if got := read(); got.RequestID != refused.Error.RequestID || got.Status != http.StatusUnauthorized || got.Refusal != "signature_missing" || got.Verdict != "" {
		t.Errorf("observation of a refusal = %+v", got)
	}
	if len(observed) != 3 || observed[1].Verdict != "dead_lettered" || observed[2].Refusal != "signature_missing" {
		t.Errorf("Observe was called with %+v, want 3 webhooks", observed)
	}
}

// TestSlowTailMissesWebhooks publishes more than a client can buffer. Publishing does not
// wait, and the client gets the number that it missed.
func TestSlowTailMissesWebhooks(t *testing.T) {
	tail := newTail()
	f := &follower{lines: make(chan Observation, tailBuffer)}
	if !tail.add(f) {
		t.Fatal("add() = false")
	}
	for range tailBuffer + 7 {
		tail.publish(&Observation{})
	}
	if got := f.missed.Load(); got != 7 || len(f.lines) != tailBuffer {
		t.Errorf("missed %d with %d waiting, want 7 and %d", got, len(f.lines), tailBuffer)
	}
	tail.remove(f)
	tail.publish(&Observation{})
	if got := f.missed.Load(); got != 7 {
		t.Errorf("missed %d after the client left, want 7", got)
	}
}

func TestTailsAreBounded(t *testing.T) {
	tail := newTail()
	for range maxTails {
		if !tail.add(&follower{}) {
			t.Fatal("add() = false, want true")
		}
	}
	w := httptest.NewRecorder()
	tail.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/webhooks", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "too many clients") {
		t.Errorf("answer to one client too many = %d %s, want 503", w.Code, w.Body)
	}
}
