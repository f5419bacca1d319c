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

// falling is a backlog of which one webhook is applied in each interval, until
// only so many remain.
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
			t.Errorf("it was %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestDrainThatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, err := drain(t.Context(), falling(20, 5, time.Minute))
		if err == nil || !strings.Contains(err.Error(), "5 accepted webhooks are not applied") {
			t.Errorf("it ended with %v", err)
		}
		if took := time.Since(begin); took < 17*time.Minute || took > 18*time.Minute {
			t.Errorf("it took %s to notice, want 2 minutes after the last progress", took)
		}
	})
}

func TestNothingToDrain(t *testing.T) {
	got, err := drain(t.Context(), func(context.Context) (int64, error) { return 0, nil })
	if err != nil || got != (report.Drain{}) {
		t.Errorf("it was %+v, %v", got, err)
	}
}

func TestDrainEndsWithItsContextAndItsErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := drain(ctx, func(context.Context) (int64, error) { return 1, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	gone := errors.New("the api is gone")
	if _, err := drain(t.Context(), func(context.Context) (int64, error) { return 0, gone }); !errors.Is(err, gone) {
		t.Errorf("it ended with %v", err)
	}
}
