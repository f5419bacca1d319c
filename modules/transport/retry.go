package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// jitter spreads retries by a quarter either way, so that callers that failed
// together do not come back together.
const jitter = 0.25

// retry repeats an Apply that may succeed later, at most cfg.Attempts times in
// all. It gives up early, with the last error, when the next attempt would
// start after the deadline of ctx.
func retry(next payments.Applier, cfg RetryConfig) payments.Applier {
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		var last error
		attempt := func() ([]*payrelayv1.Outcome, error) {
			var outcomes []*payrelayv1.Outcome
			outcomes, last = next.Apply(ctx, updates)
			if last != nil && !ClassOf(last).retryable() {
				return nil, backoff.Permanent(last)
			}
			return outcomes, last
		}
		outcomes, err := backoff.Retry(ctx, attempt, cfg.options(ctx)...)
		if err == nil {
			return outcomes, nil
		}
		if cause := context.Cause(ctx); cause != nil && !errors.Is(last, cause) {
			return nil, fmt.Errorf("%w; before that: %w", cause, last)
		}
		return nil, last
	})
}

func (c RetryConfig) options(ctx context.Context) []backoff.RetryOption {
	var limit time.Duration // 0 is none
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(time.Until(deadline), 1)
	}
	return []backoff.RetryOption{
		backoff.WithBackOff(NewBackOff(c.BaseDelay, c.MaxDelay)),
		backoff.WithMaxTries(uint(max(c.Attempts, 1))),
		backoff.WithMaxElapsedTime(limit),
	}
}

func NewBackOff(base, longest time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: base, MaxInterval: longest, Multiplier: 2, RandomizationFactor: jitter}
}
