package ingest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// trickle opens a webhook whose body comes byte by byte and never ends. It
// returns once the server asks for the body, if it is going to.
func trickle(t *testing.T, s *running, target string) (answer *bufio.Reader) {
	t.Helper()
	conn := dial(t, s)
	_, _ = io.WriteString(conn, raw(target, "Expect: 100-continue\r\nContent-Length: 100000\r\n", ""))
	answer = bufio.NewReader(conn)
	if target == ordersPath {
		awaitContinue(t, answer)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	t.Cleanup(tick.Stop)
	go func() {
		for range tick.C {
			if _, err := io.WriteString(conn, " "); err != nil {
				return
			}
		}
	}()
	return answer
}

// awaitContinue returns when the server waits for the body.
func awaitContinue(t *testing.T, answer *bufio.Reader) {
	t.Helper()
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		if line, err := answer.ReadString('\n'); line != want {
			t.Fatalf("got %q, %v", line, err)
		}
	}
}

// TestSlowBodiesTakeNoSlot: only webhooks that have come count as in flight.
func TestSlowBodiesTakeNoSlot(t *testing.T) {
	next := &recorder{}
	cfg := testConfig()
	cfg.MaxInFlight = 1
	s := serve(t, cfg, next, defaultTimeouts(cfg.Timeout), io.Discard)
	for range 2 {
		trickle(t, s, ordersPath)
	}
	if got := <-postAsync(t, s); got.status != http.StatusOK {
		t.Errorf("a good webhook got %d %s", got.status, got.raw)
	}
	next.only(t)
}

// TestSlowBodiesEnd within the timeout, so that a stop waits for them and is
// clean.
func TestSlowBodiesEnd(t *testing.T) {
	cfg := testConfig()
	cfg.Timeout = 200 * time.Millisecond
	limits := defaultTimeouts(cfg.Timeout)
	limits.readHeader = 200 * time.Millisecond
	s := serve(t, cfg, &recorder{}, limits, io.Discard)
	slow := trickle(t, s, ordersPath)
	trickle(t, s, "/unknown") // is answered before its body has come
	dial(t, s)                // says nothing
	_, _ = io.WriteString(dial(t, s), "POST ")
	begin := time.Now()
	if err := s.stop(); err != nil {
		t.Errorf("after %v Run returned %v", time.Since(begin), err)
	}
	resp, err := http.ReadResponse(slow, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, read(t, resp), http.StatusServiceUnavailable, "body_incomplete")
}

// TestStopForgetsWhoHasSentNothing: cutting those off is no failure.
func TestStopForgetsWhoHasSentNothing(t *testing.T) {
	limits := quick()
	limits.drain = 50 * time.Millisecond
	s := serve(t, testConfig(), &recorder{}, limits, io.Discard)
	slow := trickle(t, s, ordersPath)
	if err := s.stop(); err != nil {
		t.Errorf("Run returned %v", err)
	}
	if rest, _ := io.ReadAll(slow); strings.HasPrefix(string(rest), "HTTP/1.1 2") {
		t.Errorf("got %q", rest)
	}
}

// TestReadDeadlineEndsWithItsRequest: a connection may rest between webhooks.
func TestReadDeadlineEndsWithItsRequest(t *testing.T) {
	cfg := testConfig()
	cfg.Timeout = 100 * time.Millisecond
	s := serve(t, cfg, &recorder{}, defaultTimeouts(cfg.Timeout), io.Discard)
	conn := dial(t, s)
	answers := bufio.NewReader(conn)
	for range 2 {
		<-time.After(2 * cfg.Timeout) // also before the first
		_, _ = io.WriteString(conn, raw(ordersPath, fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n", len(order())), ""))
		awaitContinue(t, answers)
		_, _ = io.WriteString(conn, order())
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, resp); got.status != http.StatusOK {
			t.Errorf("got %d %s", got.status, got.raw)
		}
	}
}
