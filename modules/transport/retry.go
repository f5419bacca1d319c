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

// jitter is the fraction by which a delay is randomly longer or shorter, so that
// callers that failed together do not retry together.
const jitter = 0.25

// retry repeats an Apply whose error is retryable, up to cfg.Attempts attempts in
// all. It returns the last error early if the next attempt would start after the
// deadline of ctx.
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
			return nil, fmt.Errorf("%w; the last attempt: %w", cause, last)
		}
		return nil, last
	})
}

func (c RetryConfig) options(ctx context.Context) []backoff.RetryOption {
	var limit time.Duration // 0 means none
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(time.Until(deadline), 1)
	}
	return []backoff.RetryOption{
		backoff.WithBackOff(NewBackOff(c.BaseDelay, c.MaxDelay)),
		backoff.WithMaxTries(uint(max(c.Attempts, 1))),
		backoff.WithMaxElapsedTime(limit),
	}
}

// NewBackOff returns delays that double from base up to longest, with jitter.
func NewBackOff(base, longest time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: base, MaxInterval: longest, Multiplier: 2, RandomizationFactor: jitter}
}
