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
)

// openListener is one of the two servers, before it runs.
type openListener struct {
	*Server
	// request is a raw request that reaches the reader or the Applier.
	request string
}

// openListeners opens both listeners on free ports. Their reader and Applier call wait
// before they return.
func openListeners(t *testing.T, log *slog.Logger, wait func(context.Context)) []openListener {
	t.Helper()
	public := newTestPublic(t, Config{}, &memory{fail: func(ctx context.Context) error { wait(ctx); return nil }}, log)
	next := &recorder{answer: func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		wait(ctx)
		return applied(updates), nil
	}}
	internal, err := NewInternal(Config{}, listen(t), NewRelay(next, log), log)
	if err != nil {
		t.Fatal(err)
	}
	post := fmt.Sprintf("POST /internal/updates/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(orderJSON), orderJSON)
	return []openListener{
		{public, "GET /orders HTTP/1.1\r\nHost: x\r\n\r\n"},
		{internal, post},
	}
}

func TestCuttingOffRequestsIsNotAnError(t *testing.T) {
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
		conn := connectTo(t, l.Addr())
		if _, err := io.WriteString(conn, l.request); err != nil {
			t.Fatal(err)
		}
		<-entered
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: Run() = %v, want nil", l.name, err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: the request was answered, want it cut off", l.name)
		}
		if !strings.Contains(logged.String(), "cut off") || !strings.Contains(logged.String(), l.name) {
			t.Errorf("log = %s, want it to report the cut off request of the %s", logged.String(), l.name)
		}
	}
}

func TestRunReportsAFailedListener(t *testing.T) {
	for _, l := range openListeners(t, quiet(), func(context.Context) {}) {
		_ = l.listener.Close()
		if err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), l.name) {
			t.Errorf("%s: Run() = %v, want an error with the name", l.name, err)
		}
	}
}

// Idle connections leave room for other clients.
func TestManyIdleClientsDoNotBlockOthers(t *testing.T) {
	addr, _ := startPublic(t, new(memory))
	for i := range 1200 {
		conn := connectTo(t, addr)
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(conn, "GET /orders HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatalf("client %d was not answered: %v", i+1, err)
		}
	}
}

// The public listener closes idle connections earlier than the internal one.
func TestIdleConnectionsAreClosed(t *testing.T) {
	listeners := openListeners(t, quiet(), func(context.Context) {})
	for i, want := range []time.Duration{10 * time.Second, time.Minute} {
		if l := listeners[i]; l.http.IdleTimeout != want {
			t.Errorf("%s: IdleTimeout = %v, want %v", l.name, l.http.IdleTimeout, want)
		}
		_ = listeners[i].listener.Close()
	}
}

// "OPTIONS *" concerns the server as a whole. By default, net/http answers it without
// the router.
func TestOptionsOfTheServerAreAnUnknownPath(t *testing.T) {
	public, _ := startPublic(t, new(memory))
	open := strings.TrimPrefix(startInternal(t, new(recorder), ""), "http://")
	guarded := strings.TrimPrefix(startInternal(t, new(recorder), testToken), "http://")
	const request = "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"
	sendRaw(t, public, request).wantError(t, http.StatusNotFound, "not_found")
	sendRaw(t, open, request).wantError(t, http.StatusNotFound, "not_found")
	sendRaw(t, guarded, request).wantError(t, http.StatusUnauthorized, "unauthenticated")
}

// connectTo opens a connection, which is closed when the test ends.
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

// sendRaw sends a request that the client of net/http cannot send.
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
