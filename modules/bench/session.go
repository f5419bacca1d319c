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

// session is one mode in one round, under way.
type session struct {
	*bench
	variant    Variant
	round      int
	deployment *deployment.Deployment
	provider   *load.Provider
	// applied is what the deployment had applied before: one that others started
	// has done so for a while.
	applied float64
}

// run warms the deployment up, puts it under each load, and checks the result.
func (s *session) run(ctx context.Context) error {
	counts, err := s.deployment.Counts(ctx)
	if err != nil {
		return err
	}
	s.applied = counts.Applied
	s.say("warm up")
	if s.WarmUp > 0 {
		s.provider.Run(ctx, load.Shape{Connections: s.warmUpConnections(), Duration: s.WarmUp})
	}
	for _, shape := range s.loads {
		s.say(shape.String())
		run, err := s.measure(ctx, shape)
		if err != nil {
			return err
		}
		s.bench.report.Runs = append(s.bench.report.Runs, run)
	}
	if s.FindMax {
		if err := s.findMax(ctx); err != nil {
			return err
		}
	}
	return s.check(ctx)
}

func (s *session) say(doing string) {
	s.progress.step(fmt.Sprintf("round %d of %d, %s: %s", s.round, s.Rounds, s.variant.Name, doing))
}

func (s *session) warmUpConnections() int {
	most := 64
	for _, n := range s.Concurrency {
		most = max(most, n)
	}
	return most
}

// reading is what the deployment has used and done so far.
type reading struct {
	cpu         map[string]time.Duration
	own         time.Duration
	connections deployment.Connections
	counts      *deployment.Counts
}

func (s *session) read(ctx context.Context) (reading, error) {
	counts, err := s.deployment.Counts(ctx)
	if err != nil {
		return reading{}, err
	}
	return reading{s.deployment.CPU(), deployment.OwnCPU(), s.deployment.Connections(), counts}, nil
}

// measure puts the deployment under a load and waits until all that it accepted
// is applied.
func (s *session) measure(ctx context.Context, shape load.Shape) (report.Run, error) {
	if err := s.drained(ctx); err != nil {
		return report.Run{}, err
	}
	before, err := s.read(ctx)
	if err != nil {
		return report.Run{}, err
	}
	sent, err := s.send(ctx, shape)
	if err != nil {
		return report.Run{}, err
	}
	drain, err := s.drain(ctx)
	if err != nil {
		return report.Run{}, err
	}
	after, err := s.read(ctx)
	if err != nil {
		return report.Run{}, err
	}
	run := newRun(sent, drain, before, after)
	run.Mode, run.Load, run.Round, run.PeakMemory = s.variant.Name, shape.String(), s.round, s.deployment.PeakMemory()
	return run, nil
}

// send puts the load on, with profiles of it if they are wanted.
func (s *session) send(ctx context.Context, shape load.Shape) (*load.Result, error) {
	if s.Profiles == "" {
		return s.provider.Run(ctx, shape), nil
	}
	profiled := make(chan error, 1)
	go func() {
		profiled <- s.deployment.Profile(ctx, shape.Duration, func(role string) string {
			name := fmt.Sprintf("%s, %s, round %d, %s.pprof", s.variant.Name, shape, s.round, role)
			return filepath.Join(s.Profiles, strings.NewReplacer(", ", "_", " ", "_", "/", "_", ":", "_").Replace(name))
		})
	}()
	sent := s.provider.Run(ctx, shape)
	return sent, <-profiled
}

// drain waits until everything accepted is applied, and says what that took.
func (s *session) drain(ctx context.Context) (report.Drain, error) {
	if len(s.deployment.Admins) == 0 {
		return report.Drain{}, nil
	}
	accepted := s.provider.Accepted()
	return drain(ctx, func(ctx context.Context) (int64, error) {
		counts, err := s.deployment.Counts(ctx)
		if err != nil {
			return 0, err
		}
		return max(0, accepted-int64(counts.Applied-s.applied)), nil
	})
}

func (s *session) drained(ctx context.Context) error {
	_, err := s.drain(ctx)
	return err
}
