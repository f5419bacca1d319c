package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Report is what a run has removed, or would remove.
type Report struct {
	// Bodies are those of events.
	Bodies Bodies
	// DeadLetters counts the bodies in settled dead letters.
	DeadLetters Count
}

// Before returns the day before which bodies are removed that are kept for some time.
// Bodies leave by whole days, so that one is kept for at least that time, and for up to
// a day longer.
func Before(now time.Time, keep time.Duration) time.Time { return Day(now.Add(-keep)) }

// Run removes the bodies that were recorded before a day, but not those in open dead
// letters. A run that was interrupted is completed by the next one. With an error it
// returns what was removed until then.
func Run(ctx context.Context, s Session, before time.Time) (r Report, err error) {
	if r.Bodies, err = s.RemoveBodies(ctx, before); err != nil {
		return r, fmt.Errorf("remove bodies: %w", err)
	}
	if r.DeadLetters, err = letterBodies(ctx, s, before, true); err != nil {
		return r, fmt.Errorf("remove the bodies of settled dead letters: %w", err)
	}
	return r, nil
}

// DryRun returns what Run would remove.
func DryRun(ctx context.Context, s Session, before time.Time) (r Report, err error) {
	if r.Bodies, err = s.CountBodies(ctx, before); err != nil {
		return r, fmt.Errorf("count bodies: %w", err)
	}
	if r.DeadLetters, err = letterBodies(ctx, s, before, false); err != nil {
		return r, fmt.Errorf("count the bodies of settled dead letters: %w", err)
	}
	return r, nil
}

// DaysAhead is the number of days, including the present one, for whose bodies the
// database is prepared, so that runs can fail for some days.
const DaysAhead = 8

// period is the time between two runs of a process.
const period = time.Hour

// Runner removes old bodies periodically. Of several processes on a database, the first
// one that begins does it.
type Runner struct {
	db   Database
	keep time.Duration
	log  *slog.Logger
	// failed is the text of the last error, which is logged once.
	failed string
}

// NewRunner returns a Runner. If bodies are kept, it only prepares the database for
// those of the next days.
func NewRunner(db Database, cfg Config, log *slog.Logger) *Runner {
	return &Runner{db: db, keep: time.Duration(cfg.Keep), log: log}
}

// Run removes old bodies now and every hour, until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		err := r.once(ctx, time.Now())
		if ctx.Err() != nil {
			return nil
		}
		r.report(err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// report logs an error, unless it is the one of the run before.
func (r *Runner) report(err error) {
	failed := ""
	if err != nil && !errors.Is(err, ErrBusy) {
		failed = err.Error()
	}
	if failed != "" && failed != r.failed {
		r.log.Warn("the bodies of webhooks cannot be maintained: the next attempt is in an hour", "error", err)
	}
	r.failed = failed
}

func (r *Runner) once(ctx context.Context, now time.Time) (err error) {
	s, err := r.db.Maintain(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	prepared := s.MakeDays(ctx, now, DaysAhead)
	if r.keep == 0 {
		return prepared
	}
	before := Before(now, r.keep)
	report, err := Run(ctx, s, before)
	sum := report.Bodies.Sum()
	r.log.Info("removed old bodies", "before", before.Format(time.DateOnly), "days", len(report.Bodies), "bodies", sum.Bodies, "bytes", sum.Bytes,
		"dead_letters", report.DeadLetters.Bodies, "took", time.Since(now).Round(time.Millisecond))
	return errors.Join(prepared, err)
}
