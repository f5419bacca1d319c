package payments_test

import (
	"context"
	"fmt"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/bench/costtest"
	"github.com/payrelay/payrelay/modules/payments"
)

func TestCosts(t *testing.T) {
	update := func(i int) *payrelayv1.Update {
		return order(fmt.Sprint("e", i), i, orderCreated, of(fmt.Sprint("o", i)), amount(1, "USD"), body(fmt.Sprintf("%0400d", i)))
	}
	costtest.Allocations(t, "validate an update", func() {
		if err := payments.Validate(update(1)); err != nil {
			t.Fatal(err)
		}
	})
	ledger := payments.NewLedger(constantStore{snapshot: new(payments.Snapshot)})
	for _, size := range []int{1, 64} {
		batch := make([]*payrelayv1.Update, size)
		for i := range batch {
			batch[i] = update(i)
		}
		costtest.Allocations(t, fmt.Sprintf("judge a batch of %d", size), func() {
			if _, err := ledger.Apply(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
		})
	}
}
