// Package transport carries updates from the ingest role to the api role. A mode is
// a wire between two Appliers: its client is an Applier, and its far side calls one.
//
// [NewDirect] is the client of mode direct, and [RPC] that of the modes http, protobuf
// and grpc. Package kafka below is the mode kafka, both ends of it. [Resilient] puts a
// deadline, retries and a circuit breaker around any client. errors.go decides what an
// error means to them, its [Class]. Package transporttest is the suite that every mode
// passes.
package transport

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// NewDirect returns the client of the mode direct, which calls next. It only adds
// the limit that all modes share.
func NewDirect(next payments.Applier) payments.Applier {
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		for i, update := range updates {
			if size := proto.Size(update); size > payments.MaxUpdateBytes {
				return nil, tooLarge(i, size)
			}
		}
		return next.Apply(ctx, updates)
	})
}

func tooLarge(index, size int) error {
	return fmt.Errorf("update %d has %d bytes: %w", index, size, payments.ErrTooLarge)
}
