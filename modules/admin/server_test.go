package admin_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/admin"
)

// patience is far longer than anything here takes. A test that waits this long fails.
const patience = 10 * time.Second

// open returns a server on a free port.
func open(t testing.TB, cfg admin.Config) *admin.Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return admin.New(cfg, listener, slog.New(slog.DiscardHandler))
}

// start runs s and returns a function that stops it and returns the result of Run.
// It is to be called once at most.
func start(t *testing.T, s *admin.Server) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			t.Fatal("Run did not return after its context was cancelled")
			return nil
		}
	}
	t.Cleanup(func() {
		if stopped {
			return
		}
		if err := stop(); err != nil {
			t.Errorf("Run = %v, want nil on a clean stop", err)
		}
	})
	return stop
}

func serve(t *testing.T) *admin.Server {
	t.Helper()
	s := open(t, admin.Config{})
	start(t, s)
	return s
}

func get(t *testing.T, s *admin.Server, path string) (status int, body string) {
	t.Helper()
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://" + s.Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestLiveBeforeReady(t *testing.T) {
	s := serve(t)
	if status, body := get(t, s, "/livez"); status != http.StatusOK {
		t.Errorf("/livez = %d %s, want 200", status, body)
	}
	if status, _ := get(t, s, "/nothing"); status != http.StatusNotFound {
		t.Errorf("/nothing = %d, want 404", status)
	}
}

func TestRunReleasesThePort(t *testing.T) {
	s := open(t, admin.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatalf("Run with a cancelled context = %v, want nil", err)
	}
	listener, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
}

func TestReadyOverHTTP(t *testing.T) {
	s := serve(t)
	var called atomic.Int32
	s.AddCheck("store", "the store is away", func(context.Context) error { called.Add(1); return nil })
	for ready, want := range map[bool]int{false: http.StatusServiceUnavailable, true: http.StatusOK} {
		s.SetReady(ready)
		if status, body := get(t, s, "/readyz"); status != want {
			t.Errorf("/readyz = %d %s when ready = %v, want %d", status, body, ready, want)
		}
	}
	if n := called.Load(); n != 2 {
		t.Errorf("2 probes called the check %d times, want 2", n)
	}
}

func TestStopEndsALongProfile(t *testing.T) {
	s := open(t, admin.Config{})
	stop := start(t, s)
	answered := make(chan error, 1)
	go func() {
		client := &http.Client{Timeout: patience}
		defer client.CloseIdleConnections()
		res, err := client.Get("http://" + s.Addr() + "/debug/pprof/trace?seconds=600")
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		answered <- err
	}()
	for deadline := time.Now().Add(patience); ; {
		if _, goroutines := get(t, s, "/debug/pprof/goroutine?debug=2"); strings.Contains(goroutines, "pprof.Trace(") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the profile did not start within %s", patience)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if err := <-answered; err != nil {
		t.Errorf("the profile ended with %v, want nil", err)
	}
}

func TestWrapWrapsEveryPath(t *testing.T) {
	s := open(t, admin.Config{Wrap: func(http.Handler) http.Handler { return http.NotFoundHandler() }})
	start(t, s)
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/debug/pprof/cmdline", "/nothing"} {
		if status, body := get(t, s, path); status != http.StatusNotFound || body != "404 page not found\n" {
			t.Errorf("GET %s = %d %s, want the answer of Wrap", path, status, body)
		}
	}
}
