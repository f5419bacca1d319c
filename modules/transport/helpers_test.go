package transport

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// script is an Applier whose nth call returns the nth error, and nil after the last.
type script struct {
	errs  []error
	calls atomic.Int64
	at    []time.Time
}

func (s *script) Apply(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	n := int(s.calls.Add(1))
	s.at = append(s.at, time.Now())
	if n <= len(s.errs) && s.errs[n-1] != nil {
		return nil, s.errs[n-1]
	}
	return make([]*payrelayv1.Outcome, len(updates)), nil
}

// repeat returns a list that holds err n times.
func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// orderUpdate returns an update of order-1.
func orderUpdate(eventID string) *payrelayv1.Update { return transporttest.Order("order-1", eventID) }

func one() []*payrelayv1.Update { return []*payrelayv1.Update{orderUpdate("event-1")} }

// hang is an Applier that returns when its context ends.
var hang = payments.ApplierFunc(func(ctx context.Context, _ []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	<-ctx.Done()
	return nil, ctx.Err()
})

// code returns the code of an error for the sender of the webhook, or "".
func code(err error) string {
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return ""
}
