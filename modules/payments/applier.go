// Package payments is the language that every module speaks, and the domain
// behind it: what orders and disputes are, what a provider's update may do to
// them, and the ledger that records each update exactly once.
//
// It imports the generated contract, the Protobuf runtime and the standard
// library only. It knows no wire, no database and no configuration. Every rule
// about an update is here, once for all transports.
//
// An Update travels through Appliers until it reaches the [Ledger], which
// judges it against the history of its order and hands the result to a [Store].
package payments

import (
	"context"
	"fmt"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Applier takes updates one stage further on their way to the store. Every stage
// is one: the client of each transport mode, the decorators around it, group
// commit, and the [Ledger] at the end.
//
// Outcome i is the verdict about update i. A verdict is final and is never
// retried.
//
// An error means that the outcome of the whole batch is unknown: some of the
// updates may have been applied. Sending the same batch again is always safe,
// because updates are idempotent. The exception is [ErrTooLarge], which is final:
// nothing was applied, and the same update will be refused again.
//
// Apply returns soon after ctx is done. It does not modify the updates, which may
// be shared with other goroutines after the call.
type Applier interface {
	Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)
}

// ApplierFunc makes a function an [Applier].
type ApplierFunc func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)

// Apply calls f.
func (f ApplierFunc) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	return f(ctx, updates)
}

const (
	// MaxUpdateBytes is the largest size of one update, in bytes of binary
	// Protobuf. It is the same on every wire, so that a change of the mode never
	// changes what is accepted: the update still fits a JSON request of 1 MiB, where
	// its body is in base64, and a Kafka record of 1,000,000 bytes, the default
	// limit of a broker.
	MaxUpdateBytes = 512 << 10
	// MaxBodyBytes is the largest webhook body that fits an update, whatever its
	// other fields hold.
	MaxBodyBytes = MaxUpdateBytes - 8<<10
)

// ErrTooLarge reports an update of more than [MaxUpdateBytes].
var ErrTooLarge error = &InvalidError{
	code:    "body_too_large",
	message: fmt.Sprintf("an update must not exceed %d bytes: send a smaller body", MaxUpdateBytes),
}
