package postgres_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/batch"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/postgres"
)

// Connections are cut during commits. What was confirmed stays, the rest is sent again,
// and in the end everything is stored once.
func TestConnectionsCutUnderLoad(t *testing.T) {
	databaseURL, store := migrated(t)
	load := startLoad(t, store)
	for range 15 {
		load.awaitMore(50)
		execute(t, databaseURL, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	}
	load.finish()
	load.wantFailures()
	wantConfirmedOnce(t, databaseURL, load)
}

// The server is killed and started again.
func TestServerKilledUnderLoad(t *testing.T) {
	server := ownServer(t)
	store := open(t, server.URL())
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	load := startLoad(t, store)
	for range 4 {
		load.awaitMore(200)
		if err := errors.Join(server.Kill(), server.Start()); err != nil {
			t.Fatal(err)
		}
	}
	load.awaitMore(200)
	load.finish()
	load.wantFailures()
	wantConfirmedOnce(t, server.URL(), load)
}

// load is a number of callers of a batcher, each of which sends an update until it is
// confirmed, and then the next.
type load struct {
	t         *testing.T
	stop      chan struct{}
	working   sync.WaitGroup
	next      atomic.Int64
	confirmed atomic.Int64
	failed    atomic.Int64
}

const patience = time.Minute

func startLoad(t *testing.T, store *postgres.Store) *load {
	l := &load{t: t, stop: make(chan struct{})}
	batcher := batch.New(payments.NewLedger(store), batch.Config{
		Shards: 2, MaxBatch: 64, MaxWaitingBytes: 1000 << 12, Timeout: 10 * time.Second,
	})
	for range 16 {
		l.working.Go(func() { l.send(batcher) })
	}
	t.Cleanup(batcher.Close)
	return l
}

func (l *load) send(to payments.Applier) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		l.confirm(to, int(l.next.Add(1)-1))
	}
}

// confirm sends one update until it is recorded. While the server is down it sends
// again immediately, because a connection is refused immediately.
func (l *load) confirm(to payments.Applier, n int) {
	batch := []*payrelayv1.Update{busyUpdate(n)}
	for deadline := time.Now().Add(patience); ; {
		_, err := to.Apply(context.Background(), batch)
		if err == nil {
			l.confirmed.Add(1)
			return
		}
		l.failed.Add(1)
		if errors.Is(err, payments.ErrUnstorable) || errors.Is(err, payments.ErrMisconfigured) || time.Now().After(deadline) {
			l.t.Errorf("update %d: %v", n, err)
			return
		}
	}
}

// awaitMore waits until n more updates are confirmed.
func (l *load) awaitMore(n int64) {
	l.t.Helper()
	want := l.confirmed.Load() + n
	deadline := time.Now().Add(patience)
	for ticks := time.NewTicker(time.Millisecond); l.confirmed.Load() < want; <-ticks.C {
		if time.Now().After(deadline) {
			l.t.Fatalf("got %d confirmed updates, want %d", l.confirmed.Load(), want)
		}
	}
}

func (l *load) finish() {
	close(l.stop)
	l.working.Wait()
}

func (l *load) wantFailures() {
	l.t.Helper()
	l.t.Logf("%d updates confirmed, %d calls failed", l.confirmed.Load(), l.failed.Load())
	if l.failed.Load() == 0 {
		l.t.Error("no call failed, want some")
	}
}

func wantConfirmedOnce(t *testing.T, databaseURL string, l *load) {
	t.Helper()
	var events, lettered int64
	withConnection(t, databaseURL, func(conn *pgx.Conn) error {
		return conn.QueryRow(context.Background(), "SELECT count(*), (SELECT count(*) FROM dead_letters) FROM events").Scan(&events, &lettered)
	})
	if events != l.confirmed.Load() || lettered != 0 {
		t.Errorf("got %d events and %d dead letters, want %d and none", events, lettered, l.confirmed.Load())
	}
	withConnection(t, databaseURL, func(conn *pgx.Conn) error {
		var orders, wrong int
		err := conn.QueryRow(context.Background(), versionsThatDiffer).Scan(&orders, &wrong)
		if wrong > 0 || orders != busyOrders {
			t.Errorf("%d of %d orders do not have the state of their newest event", wrong, orders)
		}
		return err
	})
}

const versionsThatDiffer = `SELECT count(*), count(*) FILTER (WHERE updated_at IS DISTINCT FROM
	(SELECT max(occurred_at) FROM events WHERE events.order_ref = orders.id AND dispute_id = '')) FROM orders`
