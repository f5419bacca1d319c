package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/payrelay/payrelay/modules/bench/load"
	"github.com/payrelay/payrelay/modules/bench/report"
)

const (
	// expectedProbes is a typical number of rates to try, maxProbes the largest.
	expectedProbes, maxProbes = 8, 14
	// resolution ends the search when the lowest rate that failed is at most this many
	// times the highest rate that was sustained.
	resolution = 1.06
	// maxBacklog is the share of the webhooks sent that may not be applied when the
	// load ends. About as many are in flight at any time.
	maxBacklog = 0.05
)

// findMax searches for the highest rate that the variant sustains: it raises the
// rate until one fails and then bisects.
func (t *trial) findMax(ctx context.Context) error {
	rate, err := t.firstRate(ctx)
	if err != nil {
		return err
	}
	limit := report.Limit{Mode: t.variant.Name, Round: t.round}
	good, bad := 0.0, 0.0
	for probe := 0; probe < maxProbes && undecided(good, bad); probe++ {
		broke, err := t.probe(ctx, rate)
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
	t.report.Limits = append(t.report.Limits, limit)
	return nil
}

// undecided reports whether the search has to go on. good is the highest rate that
// was sustained and bad the lowest that failed; 0 if there is none.
func undecided(good, bad float64) bool { return good == 0 || bad == 0 || bad/good > resolution }

// firstRate returns a rate below what a closed loop achieves.
func (t *trial) firstRate(ctx context.Context) (float64, error) {
	t.step("find a first rate")
	sent := t.provider.Run(ctx, load.Shape{Connections: 64, Duration: min(t.Duration, time.Second)})
	if sent.Accepted == 0 {
		return 0, fmt.Errorf("find a first rate: mode %s accepted no webhook: %v", t.variant.Name, sent.Errors)
	}
	_, err := t.drain(ctx)
	return 0.6 * float64(sent.Accepted) / sent.Elapsed.Seconds(), err
}

// next returns the next rate to try.
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

// probe tries a rate and returns which limit it broke, if any. It tries a rate that
// fails once more, because other programs may have slowed the machine down.
func (t *trial) probe(ctx context.Context, rate float64) (broke string, err error) {
	for range 2 {
		run, err := t.measure(ctx, load.Shape{Connections: t.Connections, Rate: float64(int(rate)), Duration: t.Duration})
		if err != nil {
			return "", err
		}
		if broke = t.broke(run); broke == "" {
			return "", nil
		}
	}
	return broke, nil
}

// broke returns which limit a run broke, if any.
func (t *trial) broke(run report.Run) string {
	switch limit := float64(t.P99Limit.Microseconds()) / 1000; {
	case run.Failed() > 0:
		return fmt.Sprintf("%d errors", run.Failed())
	case float64(run.Drain.Backlog) > maxBacklog*float64(run.Sent):
		return fmt.Sprintf("%.0f%% were not applied in time", 100*float64(run.Drain.Backlog)/float64(run.Sent))
	case run.Ack.P99 > limit:
		return fmt.Sprintf("p99 was %.1f ms", run.Ack.P99)
	default:
		return ""
	}
}
