package transport

import (
	"context"
	"log/slog"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Resilient is Deadline(Retry(Breaker(next))). The order matters: one deadline
// covers all attempts, each attempt asks the breaker, and an open breaker is
// not retried, because it will hardly close within a few hundred milliseconds
// and the provider's own retry is cheaper than a request that waits.
func Resilient(next Applier, cfg RetryConfig, log *slog.Logger) Applier {
	return Deadline(Retry(Breaker(next, DefaultBreaker, log), cfg), cfg.Timeout)
}

// Deadline ends every Apply after the timeout.
func Deadline(next Applier, timeout time.Duration) Applier {
	return applyFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return next.Apply(ctx, updates)
	})
}

// applyFunc makes a function an Applier.
type applyFunc func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)

func (f applyFunc) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	return f(ctx, updates)
}
