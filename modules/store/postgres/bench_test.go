package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/batch"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

func BenchmarkLedger(b *testing.B) {
	serverURL(b)
	storetest.BenchmarkLedger(b, func(tb testing.TB) payments.Store {
		_, store := migrated(tb)
		return store
	})
}

func BenchmarkDecide(b *testing.B) {
	serverURL(b)
	storetest.BenchmarkDecide(b, func(tb testing.TB) payments.Store {
		_, store := migrated(tb)
		return store
	})
}

func BenchmarkLongHistory(b *testing.B) {
	serverURL(b)
	storetest.BenchmarkLongHistory(b, func(tb testing.TB) payments.Store {
		_, store := migrated(tb)
		return store
	})
}

func BenchmarkGrown(b *testing.B) {
	serverURL(b)
	storetest.BenchmarkGrown(b, func(b *testing.B, events int) payments.Store {
		databaseURL, store := migrated(b)
		conn, err := pgx.Connect(b.Context(), databaseURL)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		for _, statement := range pastOf(events) {
			if _, err := conn.Exec(b.Context(), statement); err != nil {
				b.Fatal(err)
			}
		}
		return store
	})
}

// pastOf returns statements that fill a database with a number of events, three to an
// order, with scattered ids.
func pastOf(events int) []string {
	return []string{
		"SET synchronous_commit = off",
		fmt.Sprintf(`INSERT INTO orders (id, order_id, version, status, user_id, amount, currency, created_at, updated_at, head_at, head_rank, head_event_id)
			OVERRIDING SYSTEM VALUE
			SELECT n, 'old-' || substr(md5(n::text), 1, 16), 3, 'success', 'user-' || n, 10050, 'USD', at, at, at, 3, 'old-' || n
			FROM generate_series(1, %d) AS n, LATERAL (SELECT timestamptz '2025-01-01' + n * interval '1 ms' AS at) AS moment`, events/3+1000),
		fmt.Sprintf(`INSERT INTO events (provider, event_id, order_ref, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency,
				occurred_at, received_at, order_created_at, verdict, dead_letter_reason, in_history, recorded_at, schema_version, digest, body)
			SELECT 'generic', 'old-' || substr(md5('e' || n), 1, 16), ref, 'old-' || substr(md5(ref::text), 1, 16), '', 'user-' || ref, 'updated', '', '', 10050, 'USD',
				at, at, at, 'applied', '', true, at, 1, decode(repeat('00', 32), 'hex'), convert_to(repeat(md5(n::text), 12), 'UTF8')
			FROM generate_series(0, %d) AS n,
				LATERAL (SELECT n / 3000 * 1000 + n %% 1000 + 1 AS ref, timestamptz '2025-01-01' + n * interval '1 ms' AS at) AS moment`, events-1),
		"SELECT setval(pg_get_serial_sequence('orders', 'id'), max(id)) FROM orders",
		"VACUUM (ANALYZE)",
		"CHECKPOINT",
	}
}

// BenchmarkBatcher compares group commit with one transaction for each update, by the
// number of concurrent callers with one update each. One iteration is a turn of each,
// so that other load on the machine slows all of them. The turn of a lone caller is
// short, because most of it is the disk's time, which drifts. Run it with
// -benchtime=100x for that one and 6x for the others.
func BenchmarkBatcher(b *testing.B) {
	serverURL(b)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as in the program
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
	batcher := batch.New(payments.NewLedger(store), batch.Config{
		Shards: shards, MaxBatch: 512, MaxWaitingBytes: 10_000 << 12, Timeout: time.Minute,
	})
	b.Cleanup(batcher.Close)
	return &contender{name: fmt.Sprintf("shards=%d", shards), to: batcher, turn: turn}
}

// contender is one side of a comparison. A turn is a number of calls.
type contender struct {
	name   string
	to     payments.Applier
	turn   int
	events storetest.Traffic
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
				update := c.events.Batch(1)
				sent := time.Now()
				storetest.Apply(b, c.to, update)
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

// rate returns the calls per second.
func (c *contender) rate() float64 { return float64(len(c.latencies)) / c.took.Seconds() }

// percentile returns a latency in milliseconds.
func (c *contender) percentile(p int) float64 {
	return float64(c.latencies[(len(c.latencies)-1)*p/100].Microseconds()) / 1000
}

// The pages are visible to all transactions, as after an autovacuum. The CPU time of
// parallel workers could not be read, so that there are none.
func BenchmarkDeadLetters(b *testing.B) {
	databaseURL, _ := migrated(b)
	store := open(b, withParameters(b, databaseURL, url.Values{"max_parallel_workers_per_gather": {"0"}}))
	create := func(testing.TB) storetest.Store { return store }
	analyze := func(tb testing.TB) { execute(tb, databaseURL, "VACUUM (ANALYZE) dead_letters") }
	conn, err := pgx.Connect(b.Context(), databaseURL)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	storetest.BenchmarkDeadLetters(b, create, analyze, func(tb testing.TB) time.Duration { return serverCPU(tb, conn) })
}

// serverCPU returns the CPU time of the sessions with a database, on a server on this
// machine.
func serverCPU(tb testing.TB, conn *pgx.Conn) (sum time.Duration) {
	rows, err := conn.Query(context.Background(), "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	if err != nil {
		tb.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		tb.Fatal(err)
	}
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		if err != nil {
			tb.Skip(err)
		}
		var running time.Duration
		if _, err := fmt.Sscan(string(text), &running); err != nil {
			tb.Fatal(err)
		}
		sum += running
	}
	return sum
}
