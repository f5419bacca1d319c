package bench

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/payrelay/payrelay/modules/bench/report"
)

// falling returns a backlog that decreases by one in each interval.
func falling(from, to int64, each time.Duration) func(context.Context) (int64, error) {
	begin := time.Now()
	return func(context.Context) (int64, error) {
		return max(to, from-int64(time.Since(begin)/each)), nil
	}
}

func TestDrainMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := drain(t.Context(), falling(20, 0, time.Minute))
		want := report.Drain{Backlog: 20, Seconds: 1200, PerSecond: 1.0 / 60}
		if err != nil || got != want {
			t.Errorf("drain() = %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestDrainWithoutProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, err := drain(t.Context(), falling(20, 5, time.Minute))
		if err == nil || !strings.Contains(err.Error(), "5 accepted webhooks are not applied") {
			t.Errorf("drain() error = %v, want the number of webhooks left", err)
		}
		if took := time.Since(begin); took < 17*time.Minute || took > 18*time.Minute {
			t.Errorf("drain() gave up after %s, want 2 minutes after the last progress", took)
		}
	})
}

func TestNothingToDrain(t *testing.T) {
	got, err := drain(t.Context(), func(context.Context) (int64, error) { return 0, nil })
	if err != nil || got != (report.Drain{}) {
		t.Errorf("drain() = %+v, %v, want zero", got, err)
	}
}

func TestDrainEndsWithItsContextAndItsErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := drain(ctx, func(context.Context) (int64, error) { return 1, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("drain() error = %v, want that of its context", err)
	}
	gone := errors.New("connection refused")
	if _, err := drain(t.Context(), func(context.Context) (int64, error) { return 0, gone }); !errors.Is(err, gone) {
		t.Errorf("drain() error = %v, want that of the backlog", err)
	}
}
