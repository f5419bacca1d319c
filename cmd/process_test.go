package cmd

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestMemoryLimitIsThatOfTheContainer(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	failing := func(err error) memlimit.Provider { return func() (uint64, error) { return 0, err } }
	for name, test := range map[string]struct {
		container memlimit.Provider
		own       string
		want      int64
		warned    bool
	}{
		"a container":       {memlimit.Limit(1000 << 20), "", 900 << 20, false},
		"no limit":          {failing(memlimit.ErrNoLimit), "", math.MaxInt64, false},
		"no container":      {failing(memlimit.ErrNoCgroup), "", math.MaxInt64, false},
		"no cgroups":        {failing(memlimit.ErrCgroupsNotSupported), "", math.MaxInt64, false},
		"not readable":      {failing(errors.New("permission denied")), "", math.MaxInt64, true},
		"GOMEMLIMIT is set": {memlimit.Limit(1000 << 20), "100MiB", math.MaxInt64, false},
	} {
		debug.SetMemoryLimit(math.MaxInt64)
		t.Setenv("AUTOMEMLIMIT", "0.9")
		t.Setenv("GOMEMLIMIT", test.own)
		if test.own == "" {
			if err := os.Unsetenv("GOMEMLIMIT"); err != nil {
				t.Fatal(err)
			}
		}
		var log strings.Builder
		limitMemory(test.container, slog.New(slog.NewTextHandler(&log, nil)))
		if got := debug.SetMemoryLimit(-1); got != test.want {
			t.Errorf("%s: memory limit = %d, want %d", name, got, test.want)
		}
		if warned := strings.Contains(log.String(), "GOMEMLIMIT"); warned != test.warned {
			t.Errorf("%s: logged %q, want a warning: %v", name, log.String(), test.warned)
		}
	}
}

// journal records events in their order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// part returns the run function of a part that records its end and returns result
// when it is stopped.
func (j *journal) part(name string, result error) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		j.note(name)
		return result
	}
}

func TestSupervisorStopsInReverse(t *testing.T) {
	var j journal
	s := newSupervisor()
	for _, name := range []string{"store", "api", "ingest"} {
		s.start(t.Context(), name, j.part(name, nil))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if failed := s.wait(ctx); failed != "" {
		t.Errorf("wait = %q, want none", failed)
	}
	if err := s.stop(); err != nil {
		t.Errorf("stop = %v, want nil", err)
	}
	if want := []string{"ingest", "api", "store"}; !slices.Equal(j.lines, want) {
		t.Errorf("stopped %q, want %q", j.lines, want)
	}
}

// TestSupervisorOutlivesTheSignal checks that a part goes on when the context that
// it was started with ends.
func TestSupervisorOutlivesTheSignal(t *testing.T) {
	var j journal
	ctx, cancel := context.WithCancel(t.Context())
	s := newSupervisor()
	released := make(chan struct{})
	s.start(ctx, "store", func(own context.Context) error {
		<-ctx.Done()
		if own.Err() != nil {
			t.Error("the part was stopped by the context of start")
		}
		close(released)
		return j.part("store", nil)(own)
	})
	cancel()
	<-released
	if err := s.stop(); err != nil {
		t.Errorf("stop = %v, want nil", err)
	}
}

func TestSupervisorNamesThePartThatFailed(t *testing.T) {
	for name, result := range map[string]error{"it fails": errors.New("no space left"), "it ends early": nil} {
		t.Run(name, func(t *testing.T) {
			var j journal
			s := newSupervisor()
			s.start(t.Context(), "store", j.part("store", nil))
			s.start(t.Context(), "broker", func(context.Context) error { return result })
			s.start(t.Context(), "ingest", j.part("ingest", nil))
			if failed := s.wait(t.Context()); failed != "broker" {
				t.Errorf("wait = %q, want broker", failed)
			}
			err := s.stop()
			if err == nil || !strings.Contains(err.Error(), "broker") || (result != nil && !errors.Is(err, result)) {
				t.Errorf("stop = %v, want the error of the broker", err)
			}
			if want := []string{"ingest", "store"}; !slices.Equal(j.lines, want) {
				t.Errorf("stopped %q, want %q", j.lines, want)
			}
		})
	}
}

func TestSupervisorReturnsAllErrorsOfAStop(t *testing.T) {
	var j journal
	s := newSupervisor()
	one, two := errors.New("one"), errors.New("two")
	s.start(t.Context(), "a", j.part("a", one))
	s.start(t.Context(), "b", j.part("b", two))
	if err := s.stop(); !errors.Is(err, one) || !errors.Is(err, two) {
		t.Errorf("stop = %v, want both errors", err)
	}
}

// TestLinger checks that a process serves on for its delay, and no longer than its parts.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, end := context.WithCancel(t.Context())
		end()
		s := newSupervisor()
		broken := make(chan struct{})
		s.start(t.Context(), "store", func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return nil
			case <-broken:
				return errors.New("no space left")
			}
		})
		begin := time.Now()
		if failed := s.linger(ended, time.Minute); failed != "" || time.Since(begin) != time.Minute {
			t.Errorf("linger = %q after %v, want none after 1m", failed, time.Since(begin))
		}
		begin = time.Now()
		time.AfterFunc(time.Second, func() { close(broken) })
		if failed := s.linger(ended, time.Minute); failed != "store" || time.Since(begin) != time.Second {
			t.Errorf("linger = %q after %v, want store after 1s", failed, time.Since(begin))
		}
		if err := s.stop(); err == nil {
			t.Error("stop = nil, want the error of the store")
		}
	})
}

func TestProcessConfig(t *testing.T) {
	if err := (processConfig{delay: -1}).Validate(); err == nil || !strings.Contains(err.Error(), "SHUTDOWN_DELAY") {
		t.Errorf("Validate() of a negative delay = %v, want an error that names SHUTDOWN_DELAY", err)
	}
	if err := (processConfig{}).Validate(); err != nil {
		t.Errorf("Validate() = %v, want nil", err)
	}
}
