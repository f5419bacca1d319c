package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/batch"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

func BenchmarkLedger(b *testing.B) {
	storetest.BenchmarkLedger(b, func(tb testing.TB) payments.Store { return openMigrated(tb) })
}

func BenchmarkDecide(b *testing.B) {
	storetest.BenchmarkDecide(b, func(tb testing.TB) payments.Store { return openMigrated(tb) })
}

func BenchmarkLongHistory(b *testing.B) {
	storetest.BenchmarkLongHistory(b, func(tb testing.TB) payments.Store { return openMigrated(tb) })
}

func BenchmarkGrown(b *testing.B) {
	storetest.BenchmarkGrown(b, func(b *testing.B, events int) payments.Store {
		path := filepath.Join(b.TempDir(), "payrelay.db")
		store := openAt(b, path)
		if err := store.Migrate(b.Context()); err != nil {
			b.Fatal(err)
		}
		fillWithPast(b, path, events)
		return store
	})
}

// fillWithPast fills a database with a number of events, three to an order, with
// scattered ids.
func fillWithPast(b *testing.B, path string, events int) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(OFF)&_pragma=cache_size(-2000000)&_pragma=busy_timeout(5000)")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	const at = "1735689600000000 + n * 1000"
	for _, statement := range []string{
		fmt.Sprintf(`WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < %d)
			INSERT INTO orders (id, order_id, version, status, user_id, amount, currency, created_at, updated_at, head_at, head_rank, head_event_id)
			SELECT n, 'old-' || lower(hex(randomblob(8))), 3, 'success', 'user-' || n, 10050, 'USD', %s, %[2]s, %[2]s, 3, 'old-' || n FROM counter`, events/3+1000, at),
		fmt.Sprintf(`WITH RECURSIVE counter(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter WHERE n < %d)
			INSERT INTO events (provider, event_id, order_ref, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency,
				occurred_at, received_at, order_created_at, verdict, dead_letter_reason, in_history, recorded_at, schema_version, digest)
			SELECT 'generic', 'old-' || lower(hex(randomblob(8))), n / 3000 * 1000 + n %% 1000 + 1,
				(SELECT order_id FROM orders WHERE id = n / 3000 * 1000 + n %% 1000 + 1), '', 'user-' || n, 'updated', '', '', 10050, 'USD',
				%s, %[2]s, %[2]s, 'applied', '', 1, %[2]s, 1, zeroblob(32) FROM counter`, events-1, at),
		"INSERT INTO bodies (event, recorded_at, body) SELECT seq, recorded_at, randomblob(400) FROM events",
		"PRAGMA wal_checkpoint(TRUNCATE)",
	} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBatcher compares group commit with one transaction for each call, by the
// number of concurrent callers with one update each.
func BenchmarkBatcher(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d/ids=rising", callers), func(b *testing.B) { compare(b, callers, true) })
		b.Run(fmt.Sprintf("callers=%d/ids=scattered", callers), func(b *testing.B) { compare(b, callers, false) })
	}
}

// compare has both take turns, so that other load on the machine slows both.
func compare(b *testing.B, callers int, rising bool) {
	ledger := &counting{to: payments.NewLedger(openMigrated(b))}
	batcher := batch.New(ledger, batch.Config{
		Shards: 1, MaxBatch: 512, MaxWaitingBytes: 10_000 << 12, Timeout: time.Minute,
	})
	defer batcher.Close()
	control := &contender{to: payments.NewLedger(openMigrated(b)), turn: 512}
	batched := &contender{to: batcher, turn: 4096}
	control.events.Rising, batched.events.Rising = rising, rising
	for b.Loop() {
		control.run(b, callers)
		batched.run(b, callers)
	}
	b.ReportMetric(control.rate(), "control/s")
	b.ReportMetric(batched.rate(), "batched/s")
	b.ReportMetric(batched.rate()/control.rate(), "x-control")
	b.ReportMetric(float64(batched.calls)/float64(ledger.batches.Load()), "updates/batch")
}

// counting counts batches.
type counting struct {
	to      payments.Applier
	batches atomic.Int64
}

func (c *counting) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	c.batches.Add(1)
	return c.to.Apply(ctx, updates)
}

// contender is one side of a comparison. A turn is a number of calls.
type contender struct {
	to     payments.Applier
	turn   int64
	events storetest.Traffic
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
				storetest.Apply(b, c.to, c.events.Batch(1))
			}
		})
	}
	working.Wait()
	c.took += time.Since(start)
	c.calls += c.turn
}

// rate returns the calls per second.
func (c *contender) rate() float64 { return float64(c.calls) / c.took.Seconds() }

func BenchmarkDeadLetters(b *testing.B) {
	storetest.BenchmarkDeadLetters(b, func(tb testing.TB) storetest.Store { return openMigrated(tb) }, func(testing.TB) {}, ownCPU)
}

// ownCPU returns the CPU time of this process, of which the database is a part.
func ownCPU(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
