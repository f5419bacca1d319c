package transport

import (
	"context"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// NewDirect returns the client of the mode direct, which calls next. It only adds
// the limit that all modes share.
func NewDirect(next payments.Applier) payments.Applier {
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		if err := checkSizes(updates); err != nil {
			return nil, err
		}
		return next.Apply(ctx, updates)
	})
}
