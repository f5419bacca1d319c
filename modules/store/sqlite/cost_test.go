package sqlite_test

import (
	"fmt"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/bench/costtest"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

func TestCosts(t *testing.T) {
	for _, size := range []int{1, 16} {
		ledger, events := payments.NewLedger(openMigrated(t)), &storetest.Traffic{Rising: true}
		var batches [][]*payrelayv1.Update
		for range costtest.Calls {
			batches = append(batches, events.Batch(size))
		}
		costtest.Allocations(t, fmt.Sprintf("apply a batch of %d", size), func() {
			storetest.Apply(t, ledger, batches[0])
			batches = batches[1:]
		})
	}
}
