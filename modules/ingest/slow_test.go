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

// trickle sends a webhook whose body arrives byte by byte and never ends. For a path
// that accepts webhooks, it returns when the server asks for the body.
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

// awaitContinue returns when the server asks for the body.
func awaitContinue(t *testing.T, answer *bufio.Reader) {
	t.Helper()
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		if line, err := answer.ReadString('\n'); line != want {
			t.Fatalf("line = %q, %v, want %q", line, err, want)
		}
	}
}

// TestSlowBodiesTakeNoSlot checks that webhooks whose body is still being read do not
// count as in flight.
func TestSlowBodiesTakeNoSlot(t *testing.T) {
	next := &recorder{}
	cfg := testConfig()
	cfg.MaxInFlight = 1
	s := serve(t, cfg, next, defaultTimeouts(cfg.Timeout), io.Discard)
	for range 2 {
		trickle(t, s, ordersPath)
	}
	if got := <-postAsync(t, s); got.status != http.StatusOK {
		t.Errorf("answer to a valid webhook = %d %s, want 200", got.status, got.raw)
	}
	next.only(t)
}

// TestSlowBodiesTimeOut checks that slow bodies end within the timeout, so that a
// stop can wait for them and is not an error.
func TestSlowBodiesTimeOut(t *testing.T) {
	cfg := testConfig()
	cfg.Timeout = 200 * time.Millisecond
	limits := defaultTimeouts(cfg.Timeout)
	limits.readHeader = 200 * time.Millisecond
	s := serve(t, cfg, &recorder{}, limits, io.Discard)
	slow := trickle(t, s, ordersPath)
	trickle(t, s, "/unknown") // answered before its body arrives
	dial(t, s)                // sends nothing
	_, _ = io.WriteString(dial(t, s), "POST ")
	begin := time.Now()
	if err := s.stop(); err != nil {
		t.Errorf("Run() = %v after %v, want nil", err, time.Since(begin))
	}
	resp, err := http.ReadResponse(slow, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, read(t, resp), http.StatusServiceUnavailable, "body_incomplete")
}

// TestStopCutsOffIncompleteWebhooks checks that cutting them off is not an error.
func TestStopCutsOffIncompleteWebhooks(t *testing.T) {
	limits := quick()
	limits.drain = 50 * time.Millisecond
	s := serve(t, testConfig(), &recorder{}, limits, io.Discard)
	slow := trickle(t, s, ordersPath)
	if err := s.stop(); err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
	if rest, _ := io.ReadAll(slow); strings.HasPrefix(string(rest), "HTTP/1.1 2") {
		t.Errorf("answer = %q, want none with 2xx", rest)
	}
}

// TestReadDeadlineEndsWithItsRequest checks that a connection may be idle between two
// webhooks for longer than the timeout.
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
			t.Errorf("answer = %d %s, want 200", got.status, got.raw)
		}
	}
}
