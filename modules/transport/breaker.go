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
	// breakerFailures in a row open the breaker: few, because what it refuses a
	// provider sends again.
	breakerFailures = 5
	// breakerPause is how long it stays open before one call tries the far side
	// again: short, because a restart of the api role takes about a second.
	breakerPause = time.Second
)

// breaker stops asking a far side that keeps failing and answers at once with
// errCircuitOpen instead, so that an outage costs neither side a queue of calls
// that wait for their deadline. A refusal of the batch is no failure.
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
			log.Warn("circuit breaker to the far side changed", "from", from.String(), "to", to.String())
		},
	})}
}

func (b *breaker) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	outcomes, err := b.circuit.Execute(func() ([]*payrelayv1.Outcome, error) { return b.next.Apply(ctx, updates) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, fmt.Errorf("%w; it is tried again every %v", errCircuitOpen, breakerPause)
	}
	return outcomes, err
}

// check fails while the breaker lets no call through. Between the pause and the
// call that probes it does not, or nobody would ever send that call.
func (b *breaker) check() error {
	if b.circuit.State() == gobreaker.StateOpen {
		return errCircuitOpen
	}
	return nil
}
