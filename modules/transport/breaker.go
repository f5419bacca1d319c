package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/sony/gobreaker/v2"
)

// BreakerConfig says when the far side is left alone.
type BreakerConfig struct {
	// Failures in a row open the breaker.
	Failures uint32
	// Pause is how long it stays open before one call tries the far side again.
	Pause time.Duration
}

// DefaultBreaker opens fast, because what it refuses a provider sends again, and
// probes soon, because a restart of the api role takes about a second.
var DefaultBreaker = BreakerConfig{Failures: 5, Pause: time.Second}

// Breaker stops asking a far side that keeps failing and answers at once with
// [ErrCircuitOpen] instead, so that an outage costs neither side a queue of
// calls that wait for their deadline. A refusal of the batch is no failure.
func Breaker(next Applier, cfg BreakerConfig, log *slog.Logger) Applier {
	breaker := gobreaker.NewCircuitBreaker[[]*payrelayv1.Outcome](gobreaker.Settings{
		Timeout:      cfg.Pause,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= cfg.Failures },
		IsSuccessful: func(err error) bool { return !classify(err).blamesPeer() },
		IsExcluded:   func(err error) bool { return classify(err) == abandoned },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			log.Warn("circuit breaker to the far side changed", "from", from.String(), "to", to.String())
		},
	})
	return applyFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		outcomes, err := breaker.Execute(func() ([]*payrelayv1.Outcome, error) { return next.Apply(ctx, updates) })
		if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
			return nil, fmt.Errorf("%w; it is tried again every %v", ErrCircuitOpen, cfg.Pause)
		}
		return outcomes, err
	})
}
