package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// BenchmarkLedger is the cost of an update by the size of its batch. create makes
// an empty database.
func BenchmarkLedger(b *testing.B, create func(testing.TB) payments.Store) {
	for _, size := range []int{1, 16, 256, 1024} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			ledger, events := payments.NewLedger(create(b)), new(Traffic)
			b.ReportAllocs()
			for b.Loop() {
				Apply(b, ledger, events.Batch(size))
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

// BenchmarkGrown compares the cost of an update in a database of a million events
// with that in one of ten million; both take turns. create makes a database with so
// many events of the past, three to an order. Run it with -benchtime=60x or so,
// after which both are hardly larger; they take gigabytes, and minutes to fill.
func BenchmarkGrown(b *testing.B, create func(b *testing.B, events int) payments.Store) {
	small := &grown{ledger: payments.NewLedger(create(b, 1_000_000))}
	large := &grown{ledger: payments.NewLedger(create(b, 10_000_000))}
	for b.Loop() {
		small.turn(b)
		large.turn(b)
	}
	b.ReportMetric(small.cost(), "µs/update-at-1M")
	b.ReportMetric(large.cost(), "µs/update-at-10M")
	b.ReportMetric(large.cost()/small.cost(), "x-1M")
}

// grown is one of two databases.
type grown struct {
	ledger  *payments.Ledger
	events  Traffic
	applied int
	took    time.Duration
}

func (g *grown) turn(b *testing.B) {
	const batches, size = 8, 256
	for range batches {
		updates := g.events.Batch(size)
		begin := time.Now()
		Apply(b, g.ledger, updates)
		g.took += time.Since(begin)
	}
	g.applied += batches * size
}

// cost is in microseconds for an update.
func (g *grown) cost() float64 { return float64(g.took.Microseconds()) / float64(g.applied) }
