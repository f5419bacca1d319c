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
	"context"
	"fmt"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

// Applier takes updates one stage further.
//
// Outcome i answers update i: a verdict, final, never to be retried. An error
// means that nobody knows what became of the batch and that the whole of it has
// to be sent again, which is always safe. The exception is an error with a
// method Code() string that says "body_too_large": no wire will ever carry it.
type Applier interface {
	Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)
}

// maxUpdateBytes bounds one update on every wire, in bytes of binary Protobuf.
// As JSON, which carries bytes in base64, it still fits the 1 MiB that the far
// side reads; a Kafka broker takes 1,000,000 bytes by default.
const maxUpdateBytes = 512 << 10

// checkSizes is the same in every mode, so that changing the mode never changes
// what gets through.
func checkSizes(updates []*payrelayv1.Update) error {
	for i, update := range updates {
		if size := proto.Size(update); size > maxUpdateBytes {
			return tooLarge(i, size)
		}
	}
	return nil
}

func tooLarge(index, size int) error {
	return fmt.Errorf("update %d has %d bytes: %w", index, size, errTooLarge)
}
