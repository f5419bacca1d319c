package sqlite_test

import (
	"bytes"
	"context"
	"fmt"
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
type traffic struct {
	sent atomic.Int64
	// scattered ids come in no order, as random ones do: each goes to another
	// page of an index. Otherwise they rise.
	scattered bool
}

var (
	webhookBody = bytes.Repeat([]byte("x"), 400)
	// trafficStart is when the first event happened; one follows each microsecond.
	trafficStart = time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)
	walk         = []payrelayv1.OrderStatus{
		payrelayv1.OrderStatus_ORDER_STATUS_CREATED,
		payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
		payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS,
	}
)

// interleaved is how many orders are under way at once.
const interleaved = 1000

func (t *traffic) next() *payrelayv1.Update {
	n := t.sent.Add(1) - 1
	round, lane := n/interleaved, n%interleaved
	steps := int64(len(walk))
	id, order := t.id(n), t.id(round/steps*interleaved+lane)
	at := timestamppb.New(trafficStart.Add(time.Duration(n) * time.Microsecond))
	body := bytes.Clone(webhookBody)
	copy(body, fmt.Sprint(n))
	return &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: fmt.Sprintf("evt-%016x", id), OrderId: fmt.Sprintf("order-%016x", order),
		UserId: fmt.Sprintf("user-%016x", order), OccurredAt: at, ReceivedAt: at, RawBody: body,
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
			Status: walk[round%steps], CreatedAt: at, Amount: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"},
		}},
	}
}

func (t *traffic) id(n int64) uint64 {
	if t.scattered {
		return uint64(n) * 0x9e3779b97f4a7c15 // a bijection, so no id comes twice
	}
	return uint64(n)
}

func (t *traffic) batch(size int) []*payrelayv1.Update {
	updates := make([]*payrelayv1.Update, size)
	for i := range updates {
		updates[i] = t.next()
	}
	return updates
}

func apply(tb testing.TB, to payments.Applier, updates []*payrelayv1.Update) {
	outcomes, err := to.Apply(context.Background(), updates)
	if err != nil {
		tb.Error(err)
		return
	}
	for i, o := range outcomes {
		if v := o.GetVerdict(); v != payrelayv1.Verdict_VERDICT_APPLIED && v != payrelayv1.Verdict_VERDICT_STALE {
			tb.Errorf("update %v: %v", updates[i], o)
		}
	}
}

// BenchmarkLedger is the cost of an update by the size of its batch.
func BenchmarkLedger(b *testing.B) {
	for _, size := range []int{1, 16, 256, 1024} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			ledger, events := payments.NewLedger(openMigrated(b)), &traffic{scattered: true}
			b.ReportAllocs()
			for b.Loop() {
				apply(b, ledger, events.batch(size))
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

// BenchmarkBatcher compares group commit with one transaction for each call, by
// the number of concurrent callers with one update each.
func BenchmarkBatcher(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d/ids=rising", callers), func(b *testing.B) { compare(b, callers, false) })
		b.Run(fmt.Sprintf("callers=%d/ids=scattered", callers), func(b *testing.B) { compare(b, callers, true) })
	}
}

// compare has the two take turns, so that a machine that is busy with something
// else slows both.
func compare(b *testing.B, callers int, scattered bool) {
	ledger := &counting{to: payments.NewLedger(openMigrated(b))}
	batcher := payments.NewBatcher(ledger, payments.BatcherConfig{
		Shards: 1, MaxBatch: 512, MaxWaitingBytes: 10_000 << 12, Timeout: time.Minute,
	})
	defer batcher.Close()
	control := &contender{to: payments.NewLedger(openMigrated(b)), turn: 512}
	batched := &contender{to: batcher, turn: 4096}
	control.events.scattered, batched.events.scattered = scattered, scattered
	for b.Loop() {
		control.run(b, callers)
		batched.run(b, callers)
	}
	b.ReportMetric(control.rate(), "control/s")
	b.ReportMetric(batched.rate(), "batched/s")
	b.ReportMetric(batched.rate()/control.rate(), "x-control")
	b.ReportMetric(float64(batched.calls)/float64(ledger.batches.Load()), "updates/batch")
}

// counting says how many batches came.
type counting struct {
	to      payments.Applier
	batches atomic.Int64
}

func (c *counting) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	c.batches.Add(1)
	return c.to.Apply(ctx, updates)
}

// contender takes turns of so many calls.
type contender struct {
	to     payments.Applier
	turn   int64
	events traffic
	calls  int64
	took   time.Duration
}

func (c *contender) run(b *testing.B, callers int) {
	var made atomic.Int64
	var working sync.WaitGroup
	start := time.Now()
	for range callers {
		working.Go(func() {
			for made.Add(1) <= c.turn {
				apply(b, c.to, c.events.batch(1))
			}
		})
	}
	working.Wait()
	c.took += time.Since(start)
	c.calls += c.turn
}

// rate is in calls per second.
func (c *contender) rate() float64 { return float64(c.calls) / c.took.Seconds() }
