package ingest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/internal/wait"
)

// blocking returns an Applier whose calls report that they began on entered, and
// return when the test sends on release or their context ends.
func blocking() (next *recorder, entered, release chan struct{}) {
	entered, release = make(chan struct{}, 100), make(chan struct{})
	return &recorder{apply: func(ctx context.Context, _ []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		entered <- struct{}{}
		select {
		case <-release:
			return verdict(payrelayv1.Verdict_VERDICT_APPLIED), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}, entered, release
}

// postAsync sends a webhook on its own connection and delivers the answer.
func postAsync(t *testing.T, s *running) <-chan reply {
	t.Helper()
	conn := dial(t, s)
	answered := make(chan reply, 1)
	go func() {
		defer close(answered)
		answered <- read(t, send(t, conn, sized("", order())))
	}()
	return answered
}

// TestStopAnswersWebhooksInFlight checks that a stop closes the listener, and that Run
// returns after the webhooks in flight are answered.
func TestStopAnswersWebhooksInFlight(t *testing.T) {
	next, entered, release := blocking()
	s := start(t, next)
	answered := postAsync(t, s)
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	wait.Until(t, 10*time.Second, "the listener is closed", func() bool {
		conn, err := net.Dial("tcp", s.Addr())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("Run() = %v while a webhook was in flight", err)
	default:
	}
	close(release)
	if got := <-answered; got.status != http.StatusOK {
		t.Errorf("answer = %d %s, want 200", got.status, got.raw)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
}

// TestStopCutsOffSlowWebhooks checks that a webhook that takes longer than the drain
// time is cut off, and that Run waits until its handler has returned.
func TestStopCutsOffSlowWebhooks(t *testing.T) {
	entered, noticed, end := make(chan struct{}), make(chan struct{}), make(chan struct{})
	next := &recorder{apply: func(ctx context.Context, _ []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		close(entered)
		<-ctx.Done()
		close(noticed)
		<-end
		return nil, ctx.Err()
	}}
	limits := quick()
	limits.drain = 50 * time.Millisecond
	s := serve(t, testConfig(), next, limits, io.Discard)
	conn := dial(t, s)
	_, _ = io.WriteString(conn, sized("", order()))
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	<-noticed
	select {
	case err := <-stopped:
		close(end)
		t.Fatalf("Run() = %v before the handler returned", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(end)
	if err := <-stopped; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run() = %v, want context.DeadlineExceeded", err)
	}
}

func TestRunWithCancelledContextReleasesTheListener(t *testing.T) {
	s, err := New(testConfig(), listen(t), &recorder{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
	listener, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
}

func TestRunReportsAFailedListener(t *testing.T) {
	s, err := New(testConfig(), listen(t), &recorder{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_ = s.listener.Close()
	if err := s.Run(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run() = %v, want net.ErrClosed", err)
	}
}

func TestOverloadIsRefusedImmediately(t *testing.T) {
	next, entered, release := blocking()
	cfg := testConfig()
	cfg.MaxInFlight = 1
	s := serve(t, cfg, next, defaultTimeouts(cfg.Timeout), io.Discard)
	first := postAsync(t, s)
	<-entered
	wantRefusal(t, post(t, s.http.Handler, ordersPath, order()), http.StatusServiceUnavailable, "overloaded")
	if next.count() != 1 {
		t.Errorf("Apply was called %d times, want 1", next.count())
	}
	close(release)
	if got := <-first; got.status != http.StatusOK {
		t.Errorf("answer to the first webhook = %d %s, want 200", got.status, got.raw)
	}
	wait.Until(t, 10*time.Second, "another webhook is accepted", func() bool {
		return post(t, s.http.Handler, ordersPath, order()).status == http.StatusOK
	})
}

// TestEveryWebhookIsAnsweredInTime checks that a webhook is answered after the
// timeout, even if Apply takes longer.
func TestEveryWebhookIsAnsweredInTime(t *testing.T) {
	next, _, _ := blocking() // never released
	cfg := testConfig()
	cfg.Timeout = 100 * time.Millisecond
	s := serve(t, cfg, next, defaultTimeouts(cfg.Timeout), io.Discard)
	select {
	case got := <-postAsync(t, s):
		wantRefusal(t, got, http.StatusServiceUnavailable, "unavailable")
	case <-time.After(10 * time.Second):
		t.Fatal("no answer after 10s")
	}
}

// TestTimeoutsLeaveRoomForTheAnswer checks that there is time to write an answer
// after the deadline of a webhook, also during a stop.
func TestTimeoutsLeaveRoomForTheAnswer(t *testing.T) {
	for _, webhook := range []time.Duration{100 * time.Millisecond, 12 * time.Second, time.Minute} {
		got := defaultTimeouts(webhook)
		if got.write <= webhook || got.drain <= webhook || got.drain <= got.readHeader {
			t.Errorf("defaultTimeouts(%s) = %+v", webhook, got)
		}
	}
}

func TestWrapWrapsTheHandler(t *testing.T) {
	var seen []string
	cfg := testConfig()
	cfg.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r.URL.Path)
			next.ServeHTTP(w, r)
		})
	}
	s := serve(t, cfg, &recorder{}, quick(), io.Discard)
	if got := post(t, s.http.Handler, ordersPath, order()); got.status != http.StatusOK || len(seen) != 1 {
		t.Errorf("answer = %d %s, and Wrap has seen %v", got.status, got.raw, seen)
	}
	if got := <-postAsync(t, s); got.status != http.StatusOK || len(seen) != 2 {
		t.Errorf("answer = %d %s, and Wrap has seen %v", got.status, got.raw, seen)
	}
}
