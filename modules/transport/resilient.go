package transport

import (
	"context"
	"log/slog"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Circuit is the way to the far side with everything around it that makes it
// resilient. Its methods may be called concurrently.
type Circuit struct {
	whole   payments.Applier
	breaker *breaker
}

// Resilient is deadline(retry(breaker(next))). The order matters: one deadline
// covers all attempts, each attempt asks the breaker, and an open breaker is
// not retried, because it will hardly close within a few hundred milliseconds
// and the provider's own retry is cheaper than a request that waits.
func Resilient(next payments.Applier, cfg RetryConfig, log *slog.Logger) *Circuit {
	b := newBreaker(next, log)
	return &Circuit{whole: Deadline(retry(b, cfg), cfg.Timeout), breaker: b}
}

// Apply is one Apply of the far side, tried as often as the configuration says.
func (c *Circuit) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	return c.whole.Apply(ctx, updates)
}

// Check is for readiness: it fails at once while the far side has failed so
// often that Apply would not ask it. It asks nobody.
func (c *Circuit) Check(context.Context) error { return c.breaker.check() }

// Deadline ends every Apply after the timeout.
func Deadline(next payments.Applier, timeout time.Duration) payments.Applier {
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return next.Apply(ctx, updates)
	})
}
