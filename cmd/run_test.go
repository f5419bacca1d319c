package cmd

import (
	"context"
	"errors"
	"log/slog"
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

func (j *journal) part(name string, result error) part {
	return part{name, func(ctx context.Context) error {
		<-ctx.Done()
		j.note("stopped " + name)
		return result
	}}
}

func TestRunStopsInReverseAfterReadiness(t *testing.T) {
	var j journal
	ctx, cancel := context.WithCancel(t.Context())
	err := run(ctx, slog.New(slog.DiscardHandler), []part{j.part("store", nil), j.part("api", nil), j.part("ingest", nil)},
		func() { j.note("ready"); cancel() }, func() { j.note("not ready") })
	if err != nil {
		t.Fatalf("run = %v", err)
	}
	want := []string{"ready", "not ready", "stopped ingest", "stopped api", "stopped store"}
	if !slices.Equal(j.lines, want) {
		t.Errorf("got %q, want %q", j.lines, want)
	}
}

func TestRunStopsEverythingWhenAPartFails(t *testing.T) {
	for name, result := range map[string]error{"it fails": errors.New("disk on fire"), "ended by itself": nil} {
		t.Run(name, func(t *testing.T) {
			var j journal
			failing := part{"broker", func(context.Context) error { return result }}
			err := run(t.Context(), slog.New(slog.DiscardHandler), []part{j.part("store", nil), failing, j.part("ingest", nil)},
				func() {}, func() { j.note("not ready") })
			if err == nil || !strings.Contains(err.Error(), "broker") || (result != nil && !errors.Is(err, result)) {
				t.Errorf("run = %v, want what failed in the broker", err)
			}
			want := []string{"not ready", "stopped ingest", "stopped store"}
			if !slices.Equal(j.lines, want) {
				t.Errorf("got %q, want %q", j.lines, want)
			}
		})
	}
}

func TestRunReportsWhatFailsWhileStopping(t *testing.T) {
	var j journal
	ctx, cancel := context.WithCancel(t.Context())
	one, two := errors.New("one"), errors.New("two")
	err := run(ctx, slog.New(slog.DiscardHandler), []part{j.part("a", one), j.part("b", two)}, cancel, func() {})
	if !errors.Is(err, one) || !errors.Is(err, two) {
		t.Errorf("run = %v, want both failures", err)
	}
}
