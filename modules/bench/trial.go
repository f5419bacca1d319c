package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/bench/deployment"
	"github.com/payrelay/payrelay/modules/bench/load"
	"github.com/payrelay/payrelay/modules/bench/report"
)

// trial is the measurement of one variant in one round.
type trial struct {
	*bench
	variant    Variant
	round      int
	deployment *deployment.Deployment
	provider   *load.Provider
	// applied is the number of updates that the deployment applied before the trial;
	// not 0 for a target that was in use.
	applied float64
}

// run warms the deployment up, puts it under each load and checks the result.
func (t *trial) run(ctx context.Context) error {
	counts, err := t.deployment.Counts(ctx)
	if err != nil {
		return err
	}
	t.applied = counts.Applied
	t.step("warm up")
	if t.WarmUp > 0 {
		connections := 64
		for _, n := range t.Concurrency {
			connections = max(connections, n)
		}
		t.provider.Run(ctx, load.Shape{Connections: connections, Duration: t.WarmUp})
	}
	for _, shape := range t.loads {
		if _, err := t.measure(ctx, shape); err != nil {
			return err
		}
	}
	if t.FindMax {
		if err := t.findMax(ctx); err != nil {
			return err
		}
	}
	return t.check(ctx)
}

func (t *trial) step(what string) {
	t.progress.step(fmt.Sprintf("round %d of %d, %s: %s", t.round, t.Rounds, t.variant.Name, what))
}

// void adds the reason why the figures are void to the report and returns ErrVoid.
func (t *trial) void(reason error) error {
	for line := range strings.Lines(reason.Error()) {
		t.report.Void = append(t.report.Void, fmt.Sprintf("%s, round %d: %s", t.variant.Name, t.round, strings.TrimRight(line, "\n")))
	}
	return ErrVoid
}

// reading holds the counters of the deployment and the processor time of this
// process, senderCPU, at one time.
type reading struct {
	cpu         map[string]time.Duration
	senderCPU   time.Duration
	connections deployment.Connections
	counts      *deployment.Counts
}

func (t *trial) read(ctx context.Context) (reading, error) {
	counts, err := t.deployment.Counts(ctx)
	if err != nil {
		return reading{}, err
	}
	return reading{t.deployment.CPU(), deployment.OwnCPU(), t.deployment.Connections(), counts}, nil
}

// measure puts the deployment under a load, waits until everything accepted is
// applied, and adds the figures to the report.
func (t *trial) measure(ctx context.Context, shape load.Shape) (report.Run, error) {
	t.step(shape.String())
	if _, err := t.drain(ctx); err != nil {
		return report.Run{}, err
	}
	before, err := t.read(ctx)
	if err != nil {
		return report.Run{}, err
	}
	sent, err := t.send(ctx, shape)
	if err != nil {
		return report.Run{}, err
	}
	drain, err := t.drain(ctx)
	if err != nil {
		return report.Run{}, err
	}
	after, err := t.read(ctx)
	if err != nil {
		return report.Run{}, err
	}
	run := newRun(sent, drain, before, after)
	run.Mode, run.Load, run.Round, run.PeakMemory = t.variant.Name, shape.String(), t.round, t.deployment.PeakMemory()
	t.report.Runs = append(t.report.Runs, run)
	return run, nil
}

// send sends webhooks and, with --profiles, profiles the roles meanwhile.
func (t *trial) send(ctx context.Context, shape load.Shape) (*load.Result, error) {
	if t.Profiles == "" {
		return t.provider.Run(ctx, shape), nil
	}
	profiled := make(chan error, 1)
	go func() {
		profiled <- t.deployment.Profile(ctx, shape.Duration, func(role string) string {
			name := fmt.Sprintf("%s, %s, round %d, %s.pprof", t.variant.Name, shape, t.round, role)
			return filepath.Join(t.Profiles, strings.NewReplacer(", ", "_", " ", "_", "/", "_", ":", "_").Replace(name))
		})
	}()
	sent := t.provider.Run(ctx, shape)
	return sent, <-profiled
}

// drain waits until everything accepted is applied. Without an admin listener it
// returns at once.
func (t *trial) drain(ctx context.Context) (report.Drain, error) {
	if len(t.deployment.Admins) == 0 {
		return report.Drain{}, nil
	}
	accepted := t.provider.Accepted()
	return drain(ctx, func(ctx context.Context) (int64, error) {
		counts, err := t.deployment.Counts(ctx)
		if err != nil {
			return 0, err
		}
		return max(0, accepted-int64(counts.Applied-t.applied)), nil
	})
}

const (
	// drainPoll is the resolution of the end of a drain.
	drainPoll = 10 * time.Millisecond
	// drainStall is how long a drain may make no progress. A drain that makes progress
	// may take longer, because mode kafka can have a large backlog after a few minutes.
	drainStall = 2 * time.Minute
)

// drain polls backlog until it is 0 and returns how long that took.
func drain(ctx context.Context, backlog func(context.Context) (int64, error)) (report.Drain, error) {
	begin := time.Now()
	first, err := backlog(ctx)
	if err != nil || first == 0 {
		return report.Drain{}, err
	}
	lowest, progress := first, begin
	for lowest > 0 {
		if time.Since(progress) > drainStall {
			return report.Drain{}, fmt.Errorf("%d accepted webhooks are not applied, and none has been applied for %s", lowest, drainStall)
		}
		if err := sleep(ctx, drainPoll); err != nil {
			return report.Drain{}, err
		}
		now, err := backlog(ctx)
		if err != nil {
			return report.Drain{}, err
		}
		if now < lowest {
			lowest, progress = now, time.Now()
		}
	}
	took := time.Since(begin).Seconds()
	return report.Drain{Backlog: first, Seconds: took, PerSecond: float64(first) / took}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
