package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Circuit is the client of a mode with a deadline, retries and a circuit breaker
// around it. Its methods may be called concurrently.
type Circuit struct {
	payments.Applier
	breaker *breaker
	retries *atomic.Uint64
}

// Resilient returns deadline(retry(breaker(next))). The order matters: one deadline
// covers all attempts, and the breaker sees each attempt. An open breaker is not
// retried: it stays open for longer than the delays between attempts, and the
// provider's own retry is cheaper than a request that waits.
func Resilient(next payments.Applier, cfg RetryConfig, log *slog.Logger) *Circuit {
	b := newBreaker(next, log)
	cfg.retries = new(atomic.Uint64)
	return &Circuit{Deadline(retry(b, cfg), cfg.Timeout), b, cfg.retries}
}

// Retries returns the number of attempts that failed and were repeated.
func (c *Circuit) Retries() uint64 { return c.retries.Load() }

// Check returns an error while the circuit breaker is open. It is for readiness, and
// sends nothing.
func (c *Circuit) Check(context.Context) error { return c.breaker.check() }

// Deadline ends each Apply after the timeout.
func Deadline(next payments.Applier, timeout time.Duration) payments.Applier {
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return next.Apply(ctx, updates)
	})
}

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
	options := []backoff.RetryOption{
		backoff.WithBackOff(NewBackOff(c.BaseDelay, c.MaxDelay)),
		backoff.WithMaxTries(uint(max(c.Attempts, 1))),
		backoff.WithMaxElapsedTime(limit),
		nil,
	}
	if c.retries == nil {
		return options[:3]
	}
	options[3] = backoff.WithNotify(func(error, time.Duration) { c.retries.Add(1) })
	return options
}

// NewBackOff returns delays that double from base up to longest, with jitter.
func NewBackOff(base, longest time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: base, MaxInterval: longest, Multiplier: 2, RandomizationFactor: jitter}
}

const (
	// breakerFailures is how many failures in a row open the breaker. Few suffice,
	// because the provider sends again what an open breaker refuses.
	breakerFailures = 5
	// breakerPause is how long the breaker stays open before it lets one call
	// through as a probe. A restart of the api role takes about a second.
	breakerPause = time.Second
)

// breaker returns errCircuitOpen at once while the far side keeps failing, so that
// an outage does not leave a queue of calls that wait for their deadline. A refusal
// of the batch does not count as a failure.
type breaker struct {
	next    payments.Applier
	circuit *gobreaker.CircuitBreaker[[]*payrelayv1.Outcome]
}

func newBreaker(next payments.Applier, log *slog.Logger) *breaker {
	return &breaker{next, gobreaker.NewCircuitBreaker[[]*payrelayv1.Outcome](gobreaker.Settings{
		Timeout:      breakerPause,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakerFailures },
		IsSuccessful: func(err error) bool { return !ClassOf(err).blamesPeer() },
		IsExcluded:   func(err error) bool { return ClassOf(err) == Abandoned },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			log.Warn("circuit breaker changed its state", "from", from.String(), "to", to.String())
		},
	})}
}

func (b *breaker) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	outcomes, err := b.circuit.Execute(func() ([]*payrelayv1.Outcome, error) { return b.next.Apply(ctx, updates) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, fmt.Errorf("%w: one call probes it every %v", errCircuitOpen, breakerPause)
	}
	return outcomes, err
}

// check returns errCircuitOpen while the breaker lets no call through. After the
// pause it returns nil: the probe has to be a call, and a process that is not ready
// gets none.
func (b *breaker) check() error {
	if b.circuit.State() == gobreaker.StateOpen {
		return errCircuitOpen
	}
	return nil
}
