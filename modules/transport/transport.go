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

// Circuit is the client of a mode with a deadline, retries and a circuit breaker
// around it. Its methods may be called concurrently.
type Circuit struct {
	payments.Applier
	breaker *breaker
}

// Resilient returns deadline(retry(breaker(next))). The order matters: one deadline
// covers all attempts, and the breaker sees each attempt. An open breaker is not
// retried: it stays open for longer than the delays between attempts, and the
// provider's own retry is cheaper than a request that waits.
func Resilient(next payments.Applier, cfg RetryConfig, log *slog.Logger) *Circuit {
	b := newBreaker(next, log)
	return &Circuit{Deadline(retry(b, cfg), cfg.Timeout), b}
}

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

// checkSizes returns payments.ErrTooLarge if an update is too large for any mode.
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
