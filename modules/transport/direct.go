package transport

import (
	"context"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// NewDirect is the mode without a wire: a call. It shows what a wire costs, so
// it does nothing but what keeps it exchangeable with the others.
func NewDirect(next payments.Applier) payments.Applier {
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		if err := checkSizes(updates); err != nil {
			return nil, err
		}
		return next.Apply(ctx, updates)
	})
}
