package storetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Traffic generates updates for benchmarks: each order is created, updated and paid,
// with a body of 400 bytes. It is safe for concurrent use.
type Traffic struct {
	sent atomic.Int64
	// Rising makes ids ascend. Otherwise they are scattered, as those of providers are,
	// and each belongs to another page of an index.
	Rising bool
}

// interleaved is the number of orders in flight.
const interleaved = 1000

// TrafficStart is the time of the first event. Each following one is a microsecond
// later.
var TrafficStart = time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)

var trafficWalk = []payrelayv1.OrderStatus{orderCreated, orderUpdated, orderSuccess}

// Next returns one more update.
func (t *Traffic) Next() *payrelayv1.Update {
	n := t.sent.Add(1) - 1
	round, lane, steps := n/interleaved, n%interleaved, int64(len(trafficWalk))
	order := t.id(round/steps*interleaved + lane)
	at := timestamppb.New(TrafficStart.Add(time.Duration(n) * time.Microsecond))
	body := bytes.Repeat([]byte("x"), 400)
	copy(body, fmt.Sprint(n))
	return &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: fmt.Sprintf("evt-%016x", t.id(n)), OrderId: fmt.Sprintf("order-%016x", order),
		UserId: fmt.Sprintf("user-%016x", order), OccurredAt: at, ReceivedAt: at, RawBody: body,
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
			Status: trafficWalk[round%steps], CreatedAt: at, Amount: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"},
		}},
	}
}

func (t *Traffic) id(n int64) uint64 {
	if t.Rising {
		return uint64(n)
	}
	return uint64(n) * 0x9e3779b97f4a7c15 // a bijection, so ids are unique
}

// Batch returns size updates.
func (t *Traffic) Batch(size int) []*payrelayv1.Update {
	updates := make([]*payrelayv1.Update, size)
	for i := range updates {
		updates[i] = t.Next()
	}
	return updates
}

// Apply applies updates of a [Traffic]. Their verdict can only be applied, or stale if
// concurrent callers overtook each other.
func Apply(tb testing.TB, to payments.Applier, updates []*payrelayv1.Update) {
	outcomes, err := to.Apply(context.Background(), updates)
	if err != nil {
		tb.Error(err)
		return
	}
	for i, o := range outcomes {
		if v := o.GetVerdict(); v != applied && v != stale {
			tb.Errorf("Apply(%v) = %v, want applied or stale", updates[i], o)
		}
	}
}

// BenchmarkLedger measures the cost of an update by the size of its batch. create
// returns an empty database.
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

// BenchmarkDecide measures the replay of many dead letters, 500 in a call, each of another
// order. They are updates that an older release could not judge, so that the replay writes
// the order, the event and the body of each. PAYRELAY_BENCH_LETTERS is their number, by
// default 100,000; run it with -benchtime=1x.
func BenchmarkDecide(b *testing.B, create func(testing.TB) payments.Store) {
	n := benchNumber(b, "PAYRELAY_BENCH_LETTERS", 100_000)
	var took time.Duration
	for b.Loop() {
		store := create(b)
		recordUnjudged(b, store, n)
		ledger, begin := payments.NewLedger(store), time.Now()
		for first := 1; first <= n; first += 500 {
			ids := make([]int64, min(500, n-first+1))
			for i := range ids {
				ids[i] = int64(first + i)
			}
			results, err := ledger.Decide(b.Context(), ids, payments.Decision{Resolution: payments.Replayed, By: "ann", Why: "a new release"})
			if err != nil {
				b.Fatal(err)
			}
			for _, r := range results {
				if r.Err != nil || r.Outcome.GetVerdict() != applied {
					b.Fatalf("replay of %d = %+v, want applied", r.ID, r)
				}
			}
		}
		took += time.Since(begin)
	}
	b.ReportMetric(float64(b.N*n)/took.Seconds(), "replays/s")
}

// recordUnjudged fills an empty database with dead letters of updates with an unknown
// schema.
func recordUnjudged(b *testing.B, store payments.Store, n int) {
	events := new(Traffic)
	for left := n; left > 0; left -= 1000 {
		changes := new(payments.Changes)
		for _, u := range events.Batch(min(left, 1000)) {
			u.OrderId = "order-" + u.GetEventId()
			data, err := proto.Marshal(u)
			if err != nil {
				b.Fatal(err)
			}
			changes.DeadLetters = append(changes.DeadLetters, &payments.DeadLetter{
				Key: keyOf(u), Digest: payments.FactsDigest(u), Reason: unknownSchema, Detail: "a newer release sent it",
				Payload: data, CreatedAt: noon, LastAt: noon, Deliveries: 1,
			})
		}
		if err := store.Commit(b.Context(), changes); err != nil {
			b.Fatal(err)
		}
	}
}

// benchNumber returns the number in an environment variable.
func benchNumber(b *testing.B, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	return n
}

// BenchmarkGrown compares the cost of an update in a database with a million events and
// in one with ten million, which take turns. create returns a database with that number
// of past events, three to an order. Run it with about -benchtime=60x, so that the
// databases hardly grow. They take gigabytes, and minutes to fill.
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

// grown is one of the two databases.
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

// cost returns the microseconds for an update.
func (g *grown) cost() float64 { return float64(g.took.Microseconds()) / float64(g.applied) }

// BenchmarkLongHistory measures late updates of one order with many events, and updates of
// another order meanwhile. PAYRELAY_BENCH_EVENTS is the number of events, by default
// 100,000.
func BenchmarkLongHistory(b *testing.B, create func(testing.TB) payments.Store) {
	events := benchNumber(b, "PAYRELAY_BENCH_EVENTS", 100_000)
	ledger := payments.NewLedger(create(b))
	for first := 0; first < events; first += 1000 {
		batch := make([]*payrelayv1.Update, 1000)
		for i := range batch {
			batch[i] = order(fmt.Sprint("e", first+i), 2*(first+i), orderUpdated, amount(int64(first+i), "USD"), user("u1"))
		}
		Apply(b, ledger, batch)
	}
	n := 0
	late := func(b *testing.B, second int, changes ...change) {
		n++
		Apply(b, ledger, []*payrelayv1.Update{order(fmt.Sprint("late", n), second, orderUpdated, changes...)})
	}
	b.Run("late=converging", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			late(b, 1+2*(n*7919%events), amount(1, "USD"), user("u1"))
		}
	})
	b.Run("late=first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			late(b, -1-n, amount(1, "USD"), user("u1"))
		}
	})
	b.Run("late=to-the-end", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			// No other update states this total, so that each state after it changes.
			late(b, 1+2*(n%100), captured(int64(n), "USD"))
		}
	})
	traffic := new(Traffic)
	others := func(b *testing.B) {
		for b.Loop() {
			Apply(b, ledger, traffic.Batch(16))
		}
	}
	b.Run("others=alone", others)
	b.Run("others=beside-late", func(b *testing.B) {
		ctx, cancel := context.WithCancel(context.Background())
		var sender sync.WaitGroup
		sender.Go(func() {
			for tick := time.NewTicker(50 * time.Millisecond); ctx.Err() == nil; <-tick.C {
				late(b, 1+2*(n*7919%events), amount(1, "USD"), user("u1"))
			}
		})
		others(b)
		cancel()
		sender.Wait()
	})
}

// BenchmarkDeadLetters measures the first page of dead letters and its total by each
// filter, with 100,000 of them of which a tenth is settled, and what writing and settling
// them costs, in time and in CPU time, to which other load on the machine adds less. create
// returns an empty database, analyze is called when it is full, and cpu returns the CPU time
// of the database so far.
func BenchmarkDeadLetters(b *testing.B, create func(testing.TB) Store, analyze func(testing.TB), cpu func(testing.TB) time.Duration) {
	const stored, batch = 100_000, 500
	d := create(b)
	var writing, settling, writingCPU, settlingCPU time.Duration
	for first := 0; first < stored; first += batch {
		changes, settled := new(payments.Changes), new(payments.Changes)
		for i := first; i < first+batch; i++ {
			changes.DeadLetters = append(changes.DeadLetters, benchLetter(i))
		}
		for i := first; i < first+batch; i += 10 {
			settled.Settled = append(settled.Settled, settlement(changes.DeadLetters[i-first], payments.Replayed, noon))
		}
		began := cpu(b)
		writing += commitTimed(b, d, changes)
		written := cpu(b)
		settling += commitTimed(b, d, settled)
		writingCPU, settlingCPU = writingCPU+written-began, settlingCPU+cpu(b)-written
	}
	analyze(b)
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(stored/writing.Seconds(), "letters/s")
		b.ReportMetric(stored/10/settling.Seconds(), "settlements/s")
		b.ReportMetric(float64(writingCPU.Microseconds())/stored, "cpu-µs/letter")
		b.ReportMetric(float64(settlingCPU.Microseconds())/(stored/10), "cpu-µs/settlement")
	})
	for _, filter := range []struct {
		name  string
		query payments.DeadLetterQuery
	}{
		{"none", payments.DeadLetterQuery{}},
		{"settled", payments.DeadLetterQuery{Settled: true}},
		{"reason", payments.DeadLetterQuery{Reasons: []payrelayv1.DeadLetterReason{conflict}}},
		{"reason=absent", payments.DeadLetterQuery{Reasons: []payrelayv1.DeadLetterReason{undecodable}, Settled: true}},
		{"source", payments.DeadLetterQuery{Sources: []string{"source-3"}}},
		{"source=absent", payments.DeadLetterQuery{Sources: []string{"absent"}, Settled: true}},
		{"kind=all", payments.DeadLetterQuery{Kinds: []payments.Kind{payments.KindOrder, payments.KindDispute}, Settled: true}},
		{"kind=absent", payments.DeadLetterQuery{Kinds: []payments.Kind{payments.KindNote}, Settled: true}},
		{"order", payments.DeadLetterQuery{OrderIDs: []string{benchLetter(70_001).OrderID}}},
		{"dispute", payments.DeadLetterQuery{DisputeIDs: []string{benchLetter(70_000).DisputeID}, Settled: true}},
		{"from", payments.DeadLetterQuery{From: after(90_000), Settled: true}},
		{"to", payments.DeadLetterQuery{To: after(10_000), Descending: true, Settled: true}},
		{"text=rare", payments.DeadLetterQuery{Text: benchLetter(70_001).Key.EventID, Settled: true}},
		{"text=absent", payments.DeadLetterQuery{Text: "Absent", Settled: true}},
		{"text=some", payments.DeadLetterQuery{Text: "evt_00", Settled: true}},
		{"text=all", payments.DeadLetterQuery{Text: "HIDE MONEY", Settled: true, Descending: true}},
		{"many", payments.DeadLetterQuery{Text: "hide", From: after(5), Kinds: []payments.Kind{payments.KindOrder}, Sources: []string{"source-1", "source-2"}, Settled: true}},
	} {
		filter.query.Limit = 51
		b.Run("call/"+filter.name, func(b *testing.B) {
			reportCPU(b, cpu, func() error { return firstPage(b.Context(), d, filter.query) })
		})
		b.Run("count/"+filter.name, func(b *testing.B) {
			reportCPU(b, cpu, func() error { return errorOf(d.CountDeadLetters(b.Context(), filter.query)) })
		})
	}
}

// reportCPU also reports the least CPU time of a call, the first of which prepares it.
func reportCPU(b *testing.B, cpu func(testing.TB) time.Duration, call func() error) {
	if err := call(); err != nil {
		b.Fatal(err)
	}
	best := time.Hour
	for b.Loop() {
		began := cpu(b)
		if err := call(); err != nil {
			b.Fatal(err)
		}
		best = min(best, cpu(b)-began)
	}
	b.ReportMetric(float64(best.Microseconds())/1000, "best-cpu-ms")
}

// firstPage reads a page and the number of dead letters after it, if it is full.
func firstPage(ctx context.Context, d Store, q payments.DeadLetterQuery) error {
	letters, err := d.DeadLetters(ctx, q)
	if err != nil || len(letters) < q.Limit {
		return err
	}
	q.AfterID = letters[len(letters)-1].ID
	return errorOf(d.RemainingDeadLetters(ctx, q))
}

func errorOf[T any](_ T, err error) error { return err }

// benchLetter returns a dead letter with scattered ids and a payload of 900 bytes.
func benchLetter(i int) *payments.DeadLetter {
	scattered := uint64(i) * 0x9e3779b97f4a7c15
	l := &payments.DeadLetter{
		Key:    payments.Key{Source: fmt.Sprint("source-", i%5), Kind: payments.KindOrder, EventID: fmt.Sprintf("evt_%016x", scattered)},
		Digest: payments.Digest{byte(i), byte(i >> 8), byte(i >> 16)}, Reason: []payrelayv1.DeadLetterReason{contradiction, conflict, futureTime}[i%3],
		Detail:  "it contradicts the history of its order or dispute, and choosing wrongly would hide money",
		OrderID: fmt.Sprintf("order-%016x", scattered/2), Payload: bytes.Repeat([]byte("payload! "), 100),
		CreatedAt: after(i), LastAt: after(i), Deliveries: 1,
	}
	if i%20 == 0 {
		l.Key.Kind, l.DisputeID = payments.KindDispute, fmt.Sprintf("dp_%x", scattered)
	}
	return l
}

func commitTimed(b *testing.B, d Store, changes *payments.Changes) time.Duration {
	begin := time.Now()
	if err := d.Commit(b.Context(), changes); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}
