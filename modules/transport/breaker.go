package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

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
