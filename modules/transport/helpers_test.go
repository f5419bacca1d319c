package transport

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// script is an Applier that answers its nth call with the nth error, and with
// success once they are used up.
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

// repeat is n times the same error.
func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

func orderUpdate(eventID string) *payrelayv1.Update {
	return &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: eventID, OrderId: "order-1", OccurredAt: timestamppb.New(time.Unix(1_767_000_000, 0)),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_CREATED}},
	}
}

func one() []*payrelayv1.Update { return []*payrelayv1.Update{orderUpdate("event-1")} }

// hang is an Applier that answers when its caller gives up.
var hang = payments.ApplierFunc(func(ctx context.Context, _ []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	<-ctx.Done()
	return nil, ctx.Err()
})

// code is the code of an error for the sender of the webhook, or "".
func code(err error) string {
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return ""
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// must is for what only fails when files that a test wrote have gone.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
