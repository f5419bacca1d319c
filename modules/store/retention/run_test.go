package retention_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/retention"
)

// fake is a database without dead letters, whose clock is that of the test.
type fake struct {
	retention.Session
	busy    bool
	made    []time.Time
	removed []time.Time
}

var errFailing = errors.New("out of order")

func (f *fake) Maintain(context.Context) (retention.Session, error) {
	if f.busy {
		return nil, retention.ErrBusy
	}
	return f, nil
}

func (f *fake) MakeDays(_ context.Context, from time.Time, _ int) error {
	f.made = append(f.made, from)
	return nil
}

func (f *fake) RemoveBodies(_ context.Context, before time.Time) (retention.Bodies, error) {
	f.removed = append(f.removed, before)
	return retention.Bodies{before.AddDate(0, 0, -1): {Bodies: 2, Bytes: 30}}, errFailing
}

func (f *fake) Read() store.Connection { return nil }
func (f *fake) Close() error           { return nil }

// run runs a Runner for some hours and returns its log.
func run(t *testing.T, f *fake, keep time.Duration, hours int) (log string) {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(hours)*time.Hour-time.Minute)
		defer cancel()
		runner := retention.NewRunner(f, retention.Config{Keep: retention.Period(keep)}, slog.New(slog.NewTextHandler(&out, nil)))
		if err := runner.Run(ctx); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	return out.String()
}

func TestRunnerRemovesEveryHour(t *testing.T) {
	f := new(fake)
	log := run(t, f, 24*time.Hour, 3)
	if len(f.made) != 3 || len(f.removed) != 3 || !f.removed[2].Equal(retention.Before(f.made[2], 24*time.Hour)) {
		t.Errorf("it prepares at %v and removes what is before %v, want three times each", f.made, f.removed)
	}
	if strings.Count(log, "removed old bodies") != 3 || !strings.Contains(log, "days=1 bodies=2 bytes=30") {
		t.Errorf("the log is %s, want three lines with counts", log)
	}
	// The same error every time.
	if strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, errFailing.Error()) {
		t.Errorf("the log is %s, want one warning", log)
	}
}

func TestRunnerThatKeepsBodies(t *testing.T) {
	f := new(fake)
	if log := run(t, f, 0, 2); len(f.made) != 2 || len(f.removed) != 0 || log != "" {
		t.Errorf("it prepares at %v, removes before %v and logs %q, want it only to prepare", f.made, f.removed, log)
	}
	f = &fake{busy: true}
	if log := run(t, f, time.Hour, 2); len(f.made) != 0 || log != "" {
		t.Errorf("while another process does it, it prepares at %v and logs %q, want nothing", f.made, log)
	}
}
