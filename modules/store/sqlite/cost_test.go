package sqlite_test

import (
	"fmt"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/bench/costtest"
	"github.com/payrelay/payrelay/modules/payments"
)

func TestCosts(t *testing.T) {
	for _, size := range []int{1, 16} {
		ledger, events := payments.NewLedger(openMigrated(t)), new(traffic)
		var batches [][]*payrelayv1.Update
		for range costtest.Calls {
			batches = append(batches, events.batch(size))
		}
		costtest.Allocations(t, fmt.Sprintf("apply a batch of %d", size), func() {
			apply(t, ledger, batches[0])
			batches = batches[1:]
		})
	}
}
