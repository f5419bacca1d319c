package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/payrelay/payrelay/modules/bench/report"
)

const (
	// pollEvery is how exactly the end of a drain is known.
	pollEvery = 10 * time.Millisecond
	// stuckAfter is how long nothing may be applied. The whole may take longer: what
	// is accepted before it is applied can become a long queue in a few minutes.
	stuckAfter = 2 * time.Minute
)

// drain waits until nothing is left to apply, and says what that took.
func drain(ctx context.Context, left func(context.Context) (int64, error)) (report.Drain, error) {
	begin := time.Now()
	backlog, err := left(ctx)
	if err != nil || backlog == 0 {
		return report.Drain{}, err
	}
	least, progress := backlog, begin
	for least > 0 {
		if time.Since(progress) > stuckAfter {
			return report.Drain{}, fmt.Errorf("%d accepted webhooks are not applied, and none was for %s", least, stuckAfter)
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return report.Drain{}, err
		}
		now, err := left(ctx)
		if err != nil {
			return report.Drain{}, err
		}
		if now < least {
			least, progress = now, time.Now()
		}
	}
	took := time.Since(begin).Seconds()
	return report.Drain{Backlog: backlog, Seconds: took, PerSecond: float64(backlog) / took}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
