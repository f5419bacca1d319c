package batch

import (
	"context"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/bench/costtest"
	"github.com/payrelay/payrelay/modules/payments"
)

func TestCosts(t *testing.T) {
	next := payments.ApplierFunc(func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		return make([]*payrelayv1.Outcome, 1), nil
	})
	batcher := New(next, Config{Shards: 2, MaxBatch: 512, MaxWaitingBytes: 4096 << 12, Timeout: time.Minute})
	defer batcher.Close()
	alone := []*payrelayv1.Update{numbered("o1", 1)}
	costtest.Allocations(t, "go through a batcher alone", func() {
		if _, err := batcher.Apply(context.Background(), alone); err != nil {
			t.Fatal(err)
		}
	})
}
