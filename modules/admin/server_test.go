package admin_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/admin"
)

// patience is far longer than anything here takes. A test that waits this long fails.
const patience = 10 * time.Second

func open(t *testing.T, cfg admin.Config) *admin.Server {
	t.Helper()
	s, err := admin.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
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
	s := open(t, admin.Config{Addr: "127.0.0.1:0"})
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

func TestNewRefusesABadAddressAndOneInUse(t *testing.T) {
	taken := open(t, admin.Config{Addr: "127.0.0.1:0"})
	start(t, taken)
	for _, addr := range []string{"3003", taken.Addr()} {
		_, err := admin.New(admin.Config{Addr: addr}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "ADMIN_ADDR") {
			t.Errorf("New(%q) = %v, want an error that names ADMIN_ADDR", addr, err)
		}
	}
}

func TestRunReleasesThePort(t *testing.T) {
	s := open(t, admin.Config{Addr: "127.0.0.1:0"})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatalf("Run with a cancelled context = %v, want nil", err)
	}
	again := open(t, admin.Config{Addr: s.Addr()})
	start(t, again)
}

func TestReadyOverHTTP(t *testing.T) {
	s := serve(t)
	var called atomic.Int32
	s.AddCheck("store", func(context.Context) error { called.Add(1); return nil })
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
	s := open(t, admin.Config{Addr: "127.0.0.1:0"})
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
