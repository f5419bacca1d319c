package deployment

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// TestLink: each fault has its effect, and none after it is restored.
func TestLink(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer server.Close()
	l := newLink("client", "server")
	defer l.disable()
	addr, err := l.add(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for kind, effect := range map[string]func(took time.Duration, err error) bool{
		history.Blackhole: func(_ time.Duration, err error) bool { return errors.Is(err, context.DeadlineExceeded) },
		history.Reset:     func(_ time.Duration, err error) bool { return err != nil && !errors.Is(err, context.DeadlineExceeded) },
		history.Latency:   func(took time.Duration, err error) bool { return err == nil && took > 40*time.Millisecond },
		history.Slice:     func(took time.Duration, err error) bool { return err == nil && took > 5*time.Millisecond },
	} {
		if err := l.Disturb(kind); err != nil {
			t.Fatal(err)
		}
		if took, err := echo(t, addr); !effect(took, err) {
			t.Errorf("during %s: answered after %s, %v", kind, took, err)
		}
		if err := l.Restore(); err != nil {
			t.Fatal(err)
		}
		if took, err := echo(t, addr); err != nil {
			t.Errorf("after %s: answered after %s, %v", kind, took, err)
		}
	}
	l.disable()
	if _, err := echo(t, addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("disabled: %v, want connection refused", err)
	}
	if err := l.enable(); err != nil {
		t.Fatal(err)
	}
	if _, err := echo(t, addr); err != nil {
		t.Errorf("enabled again: %v", err)
	}
}

// echo sends 8 KiB by a new connection and expects them back.
func echo(t *testing.T, addr string) (time.Duration, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 500 * time.Millisecond}
	begin, sent := time.Now(), strings.Repeat("x", 8<<10)
	resp, err := client.Post("http://"+addr, "text/plain", strings.NewReader(sent))
	if err != nil {
		return time.Since(begin), err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && string(body) != sent {
		t.Errorf("%d of %d bytes came back", len(body), len(sent))
	}
	return time.Since(begin), err
}
