package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/payrelay/payrelay/modules/bench/load"
	"github.com/payrelay/payrelay/modules/bench/report"
)

const (
	// expectedProbes is about how many rates are tried.
	expectedProbes = 8
	// closeEnough ends the search: the rates that were kept and not kept up are so
	// near to each other.
	closeEnough = 1.06
	maxProbes   = 14
	// drainLimit is how far a mode may be behind when the load ends, as a share of
	// what was sent: about as much as is under way at any time.
	drainLimit = 0.05
)

// findMax raises the rate until a limit breaks, and then narrows it down: the
// knee of the mode's latency.
func (s *session) findMax(ctx context.Context) error {
	rate, err := s.guess(ctx)
	if err != nil {
		return err
	}
	limit := report.Limit{Mode: s.variant.Name, Round: s.round}
	good, bad := 0.0, 0.0
	for probe := 0; probe < maxProbes && undecided(good, bad); probe++ {
		broke, err := s.probe(ctx, rate)
		if err != nil {
			return err
		}
		if broke == "" {
			good = rate
		} else {
			bad, limit.Broke = rate, broke
		}
		rate = next(good, bad)
	}
	limit.Rate = good
	s.bench.report.Limits = append(s.bench.report.Limits, limit)
	return nil
}

// undecided says that the knee is not yet known.
func undecided(good, bad float64) bool { return good == 0 || bad == 0 || bad/good > closeEnough }

// guess is a rate to begin with, below what the mode does in a closed loop.
func (s *session) guess(ctx context.Context) (float64, error) {
	s.say("looking for a first rate")
	sent := s.provider.Run(ctx, load.Shape{Connections: 64, Duration: min(s.Duration, time.Second)})
	if sent.Accepted == 0 {
		return 0, fmt.Errorf("nothing was accepted in mode %s: %v", s.variant.Name, sent.Errors)
	}
	return 0.6 * float64(sent.Accepted) / sent.Elapsed.Seconds(), s.drained(ctx)
}

// next is the rate to try after some were kept up and some were not.
func next(good, bad float64) float64 {
	switch {
	case bad == 0:
		return good * 1.3
	case good == 0:
		return bad / 1.6
	default:
		return (good + bad) / 2
	}
}

// probe tries a rate, and says what broke. A rate that fails is tried again, for
// a machine that others use too has bad moments.
func (s *session) probe(ctx context.Context, rate float64) (broke string, err error) {
	for range 2 {
		shape := load.Shape{Connections: s.Connections, Rate: float64(int(rate)), Duration: s.Duration}
		s.say(shape.String())
		run, err := s.measure(ctx, shape)
		if err != nil {
			return "", err
		}
		s.bench.report.Runs = append(s.bench.report.Runs, run)
		if broke = s.broke(run); broke == "" {
			return "", nil
		}
	}
	return broke, nil
}

// broke says which limit a run broke, if it did.
func (s *session) broke(run report.Run) string {
	switch limit := float64(s.P99Limit.Microseconds()) / 1000; {
	case run.Failed() > 0:
		return fmt.Sprintf("%d errors", run.Failed())
	case float64(run.Drain.Backlog) > drainLimit*float64(run.Sent):
		return fmt.Sprintf("%.0f%% were not applied in time", 100*float64(run.Drain.Backlog)/float64(run.Sent))
	case run.Ack.P99 > limit:
		return fmt.Sprintf("p99 was %.1f ms", run.Ack.P99)
	default:
		return ""
	}
}
