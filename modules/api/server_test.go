package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// openListener is one of the two listeners, before it runs.
type openListener struct {
	*server
	Run func(context.Context) error
	// request is one that reaches what is behind the listener.
	request string
}

// openListeners opens both on free ports. What is behind them calls wait before
// it answers.
func openListeners(t *testing.T, log *slog.Logger, wait func(context.Context)) []openListener {
	t.Helper()
	cfg := Config{Addr: "127.0.0.1:0", InternalAddr: "127.0.0.1:0"}
	public, err := NewPublic(cfg, &memory{fail: func(ctx context.Context) error { wait(ctx); return nil }}, log)
	if err != nil {
		t.Fatal(err)
	}
	next := &recorder{answer: func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		wait(ctx)
		return applied(updates), nil
	}}
	internal, err := NewInternal(cfg, NewRelay(next, payments.Validate, log), log)
	if err != nil {
		t.Fatal(err)
	}
	post := fmt.Sprintf("POST /internal/updates/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(orderJSON), orderJSON)
	return []openListener{
		{public.server, public.Run, "GET /orders HTTP/1.1\r\nHost: x\r\n\r\n"},
		{internal.server, internal.Run, post},
	}
}

func TestCuttingRequestsOffIsACleanStop(t *testing.T) {
	var logged strings.Builder
	entered := make(chan struct{}, 1)
	for _, l := range openListeners(t, slog.New(slog.NewTextHandler(&logged, nil)), func(ctx context.Context) {
		entered <- struct{}{}
		<-ctx.Done()
	}) {
		l.drain = 10 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		conn := connectTo(t, l.addr())
		if _, err := io.WriteString(conn, l.request); err != nil {
			t.Fatal(err)
		}
		<-entered
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: Run: %v", l.name, err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: the request got an answer", l.name)
		}
		if !strings.Contains(logged.String(), "cut off") || !strings.Contains(logged.String(), l.name) {
			t.Errorf("%s: the log does not tell: %s", l.name, logged.String())
		}
	}
}

func TestAFailedListenerFailsTheRun(t *testing.T) {
	for _, l := range openListeners(t, quiet(), func(context.Context) {}) {
		_ = l.listener.Close()
		if err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), l.name) {
			t.Errorf("%s: Run: %v", l.name, err)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	for _, l := range openListeners(t, quiet(), func(context.Context) {}) {
		accepted := make(chan net.Conn)
		go func() {
			defer close(accepted)
			for {
				conn, err := l.listener.Accept()
				if err != nil {
					return
				}
				accepted <- conn
			}
		}()
		var last net.Conn
		for range maxConnections {
			connectTo(t, l.addr())
			conn := <-accepted
			last = conn
			defer conn.Close()
		}
		connectTo(t, l.addr())
		select {
		case <-accepted:
			t.Errorf("%s: more than %d connections are open", l.name, maxConnections)
		case <-time.After(100 * time.Millisecond):
			_ = last.Close()
			_ = (<-accepted).Close()
		}
		_ = l.listener.Close()
		<-accepted
	}
}

// "OPTIONS *" asks about the listener as a whole; net/http would answer it
// without our router.
func TestOptionsOfAListenerAreAnUnknownPath(t *testing.T) {
	public, _ := startPublic(t, new(memory))
	open := strings.TrimPrefix(startInternal(t, new(recorder), ""), "http://")
	guarded := strings.TrimPrefix(startInternal(t, new(recorder), testToken), "http://")
	const request = "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"
	sendRaw(t, public, request).wantError(t, http.StatusNotFound, "not_found")
	sendRaw(t, open, request).wantError(t, http.StatusNotFound, "not_found")
	sendRaw(t, guarded, request).wantError(t, http.StatusUnauthorized, "unauthenticated")
}

// connectTo opens a connection that is closed when the test ends.
func connectTo(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// sendRaw sends a request that the client of net/http would not.
func sendRaw(t *testing.T, addr, request string) reply {
	t.Helper()
	conn := connectTo(t, addr)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}
