package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// traffic makes the updates of ever new orders: each is created, updated and
// paid, with a body of 400 bytes. It is safe for concurrent use.
type traffic struct{ sent atomic.Int64 }

// interleaved is how many orders are under way at once.
const interleaved = 1000

var (
	trafficStart = time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)
	walk         = []payrelayv1.OrderStatus{
		payrelayv1.OrderStatus_ORDER_STATUS_CREATED,
		payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
		payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS,
	}
)

func (t *traffic) next() *payrelayv1.Update {
	n := t.sent.Add(1) - 1
	round, lane, steps := n/interleaved, n%interleaved, int64(len(walk))
	order := scatter(round/steps*interleaved + lane)
	at := timestamppb.New(trafficStart.Add(time.Duration(n) * time.Microsecond))
	body := bytes.Repeat([]byte("x"), 400)
	copy(body, fmt.Sprint(n))
	return &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: fmt.Sprintf("evt-%016x", scatter(n)), OrderId: fmt.Sprintf("order-%016x", order),
		UserId: fmt.Sprintf("user-%016x", order), OccurredAt: at, ReceivedAt: at, RawBody: body,
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
			Status: walk[round%steps], CreatedAt: at, Amount: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"},
		}},
	}
}

// scatter makes ids that come in no order, as providers' do.
func scatter(n int64) uint64 { return uint64(n) * 0x9e3779b97f4a7c15 }

func (t *traffic) batch(size int) []*payrelayv1.Update {
	updates := make([]*payrelayv1.Update, size)
	for i := range updates {
		updates[i] = t.next()
	}
	return updates
}

func apply(b *testing.B, to payments.Applier, updates []*payrelayv1.Update) {
	outcomes, err := to.Apply(context.Background(), updates)
	if err != nil {
		b.Error(err)
		return
	}
	for i, o := range outcomes {
		if v := o.GetVerdict(); v != payrelayv1.Verdict_VERDICT_APPLIED && v != payrelayv1.Verdict_VERDICT_STALE {
			b.Errorf("update %v: %v", updates[i], o)
		}
	}
}

// BenchmarkLedger is the cost of an update by the size of its batch.
func BenchmarkLedger(b *testing.B) {
	serverURL(b)
	for _, size := range []int{1, 16, 256, 1024} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			_, store := migrated(b)
			ledger, events := payments.NewLedger(store), new(traffic)
			b.ReportAllocs()
			for b.Loop() {
				apply(b, ledger, events.batch(size))
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

// BenchmarkBatcher compares group commit with one transaction for each update, by
// the number of concurrent callers with one update each. They take turns, so that
// a machine that is busy with something else slows all of them: one iteration is a
// turn of each. A lone caller's turn is short, for the disk's time is most of its
// own, and drifts. Run it with -benchtime=100x for that one, 6x for the others.
func BenchmarkBatcher(b *testing.B) {
	serverURL(b)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as the program does, for both
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			turn := 256 * callers
			if callers == 1 {
				turn = 64
			}
			contenders := []*contender{{name: "control", to: newControl(b), turn: min(2048, turn)}}
			for _, shards := range []int{1, 2, 4} {
				contenders = append(contenders, grouped(b, shards, min(16*1024, turn)))
			}
			for b.Loop() {
				for _, c := range contenders {
					c.run(b, callers)
				}
			}
			control := contenders[0]
			for _, c := range contenders {
				c.report(b, control)
			}
		})
	}
}

func grouped(b *testing.B, shards, turn int) *contender {
	_, store := migrated(b)
	batcher := payments.NewBatcher(payments.NewLedger(store), payments.BatcherConfig{
		Shards: shards, MaxBatch: 512, MaxWaitingBytes: 10_000 << 12, Timeout: time.Minute,
	})
	b.Cleanup(batcher.Close)
	return &contender{name: fmt.Sprintf("shards=%d", shards), to: batcher, turn: turn}
}

// contender takes turns of so many calls.
type contender struct {
	name   string
	to     payments.Applier
	turn   int
	events traffic
	took   time.Duration

	mu        sync.Mutex
	latencies []time.Duration
}

func (c *contender) run(b *testing.B, callers int) {
	var made atomic.Int64
	var working sync.WaitGroup
	start := time.Now()
	for range callers {
		working.Go(func() {
			var mine []time.Duration
			for made.Add(1) <= int64(c.turn) {
				update := c.events.batch(1)
				sent := time.Now()
				apply(b, c.to, update)
				mine = append(mine, time.Since(sent))
			}
			c.mu.Lock()
			c.latencies = append(c.latencies, mine...)
			c.mu.Unlock()
		})
	}
	working.Wait()
	c.took += time.Since(start)
}

func (c *contender) report(b *testing.B, control *contender) {
	slices.Sort(c.latencies)
	b.ReportMetric(c.rate(), c.name+"/s")
	b.ReportMetric(c.percentile(50), c.name+"-p50-ms")
	b.ReportMetric(c.percentile(99), c.name+"-p99-ms")
	if c != control {
		b.ReportMetric(c.rate()/control.rate(), c.name+"-x-control")
	}
}

// rate is in calls per second.
func (c *contender) rate() float64 { return float64(len(c.latencies)) / c.took.Seconds() }

// percentile is in milliseconds.
func (c *contender) percentile(p int) float64 {
	return float64(c.latencies[(len(c.latencies)-1)*p/100].Microseconds()) / 1000
}
