// Package payments is the domain: what orders and disputes are, what a
// provider's update may do to them, and the ledger that records each update
// exactly once.
//
// It knows no wire, no database and no configuration: it imports the generated
// contract, the runtime of its messages and the standard library only.
// Everything that can be refused about an update is decided here, once for
// every transport.
//
// The way through it: [Validate] says whether an update is well-formed, the
// [Batcher] groups concurrent calls, the [Ledger] judges each update against
// the history of its order and hands the result to a [Store].
package payments

import (
	"context"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Applier takes updates one stage further on their way to the store.
//
// Outcome i answers update i: a verdict, final, never to be retried. An error
// means that nobody knows what became of the batch and that the whole of it has
// to be sent again, which is always safe. Updates are not modified and may be
// shared after the call.
type Applier interface {
	Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)
}
