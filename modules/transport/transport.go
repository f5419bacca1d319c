// Package transport carries updates from the ingest role to the api role. A mode is
// a wire between two Appliers: its client is an Applier, and its far side calls one.
//
// The clients are here: direct.go is the mode without a wire, rpc.go is the client
// of the modes http, protobuf and grpc. Package kafka below is the mode kafka, both
// ends of it. [Resilient] puts a deadline, retries and a circuit breaker around the
// client of any mode; what an error means to them, its [Class], is decided in
// errors.go. Package transporttest is the suite that every mode passes.
package transport

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

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

// checkSizes is the same in every mode, so that changing the mode never changes
// what gets through.
func checkSizes(updates []*payrelayv1.Update) error {
	for i, update := range updates {
		if size := proto.Size(update); size > payments.MaxUpdateBytes {
			return tooLarge(i, size)
		}
	}
	return nil
}

func tooLarge(index, size int) error {
	return fmt.Errorf("update %d has %d bytes: %w", index, size, payments.ErrTooLarge)
}
