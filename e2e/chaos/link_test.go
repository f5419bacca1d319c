package chaos

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
)

// TestLink: each disturbance is felt, and gone when it is mended.
func TestLink(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer server.Close()
	l := newLink("client", "server")
	defer l.cut()
	addr, err := l.add(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for kind, felt := range map[string]func(took time.Duration, err error) bool{
		blackhole: func(_ time.Duration, err error) bool { return errors.Is(err, context.DeadlineExceeded) },
		reset:     func(_ time.Duration, err error) bool { return err != nil && !errors.Is(err, context.DeadlineExceeded) },
		latency:   func(took time.Duration, err error) bool { return err == nil && took > 40*time.Millisecond },
		slice:     func(took time.Duration, err error) bool { return err == nil && took > 5*time.Millisecond },
	} {
		if err := l.disturb(kind); err != nil {
			t.Fatal(err)
		}
		if took, err := echo(t, addr); !felt(took, err) {
			t.Errorf("%s: answered after %s, %v", kind, took, err)
		}
		if err := l.mend(); err != nil {
			t.Fatal(err)
		}
		if took, err := echo(t, addr); err != nil {
			t.Errorf("after %s: answered after %s, %v", kind, took, err)
		}
	}
	l.cut()
	if _, err := echo(t, addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a link that is cut: %v", err)
	}
	if err := l.join(); err != nil {
		t.Fatal(err)
	}
	if _, err := echo(t, addr); err != nil {
		t.Errorf("a link that was joined again: %v", err)
	}
}

// echo sends 8 KiB by a connection of its own and wants them back.
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
