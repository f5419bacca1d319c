// Package transport carries updates from the ingest role to the api role. A
// mode is a wire between two Appliers: its client is one, and its far side
// calls one.
//
// Each mode has a file of its own: direct.go has no wire, http.go, protobuf.go
// and grpc.go are options on the one RPC client in rpc.go, kafka.go publishes
// and consumer.go takes up what was published. [Resilient] puts a deadline,
// retries and a circuit breaker around any of them.
package transport

import (
	"fmt"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"

	"github.com/payrelay/payrelay/modules/payments"
)

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
