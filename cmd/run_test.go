package cmd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

// journal notes what happened, in its order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// part is one that ends with that result when it is told to.
func (j *journal) part(name string, result error) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		j.note(name)
		return result
	}
}

func TestCrewStopsInReverse(t *testing.T) {
	var j journal
	c := newCrew()
	for _, name := range []string{"store", "api", "ingest"} {
		c.start(t.Context(), name, j.part(name, nil))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if failed := c.wait(ctx); failed != "" {
		t.Errorf("%s failed", failed)
	}
	if err := c.stop(); err != nil {
		t.Errorf("stop = %v", err)
	}
	if want := []string{"ingest", "api", "store"}; !slices.Equal(j.lines, want) {
		t.Errorf("stopped %q, want %q", j.lines, want)
	}
}

// The end of the context that a part was started with is not yet its own.
func TestCrewOutlivesTheSignal(t *testing.T) {
	var j journal
	ctx, cancel := context.WithCancel(t.Context())
	c := newCrew()
	released := make(chan struct{})
	c.start(ctx, "store", func(own context.Context) error {
		<-ctx.Done()
		if own.Err() != nil {
			t.Error("the part was told to stop before its turn")
		}
		close(released)
		return j.part("store", nil)(own)
	})
	cancel()
	<-released
	if err := c.stop(); err != nil {
		t.Error(err)
	}
}

func TestCrewTellsWhichPartFailed(t *testing.T) {
	for name, result := range map[string]error{"it fails": errors.New("disk on fire"), "it ends by itself": nil} {
		t.Run(name, func(t *testing.T) {
			var j journal
			c := newCrew()
			c.start(t.Context(), "store", j.part("store", nil))
			c.start(t.Context(), "broker", func(context.Context) error { return result })
			c.start(t.Context(), "ingest", j.part("ingest", nil))
			if failed := c.wait(t.Context()); failed != "broker" {
				t.Errorf("wait = %q, want broker", failed)
			}
			err := c.stop()
			if err == nil || !strings.Contains(err.Error(), "broker") || (result != nil && !errors.Is(err, result)) {
				t.Errorf("stop = %v, want what failed in the broker", err)
			}
			if want := []string{"ingest", "store"}; !slices.Equal(j.lines, want) {
				t.Errorf("stopped %q, want %q", j.lines, want)
			}
		})
	}
}

func TestCrewReportsAllThatFailsWhileStopping(t *testing.T) {
	var j journal
	c := newCrew()
	one, two := errors.New("one"), errors.New("two")
	c.start(t.Context(), "a", j.part("a", one))
	c.start(t.Context(), "b", j.part("b", two))
	if err := c.stop(); !errors.Is(err, one) || !errors.Is(err, two) {
		t.Errorf("stop = %v, want both failures", err)
	}
}
