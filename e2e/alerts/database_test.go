package alerts

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/servers"
)

// startPostgres starts a PostgreSQL server that the test may stop, with an empty database.
// If the server is not installed, it skips the test, or fails it if the lane must run.
func startPostgres(t *testing.T) (server *servers.Postgres, database string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "payrelay-alerts-postgres-") // not t.TempDir, which belongs to root
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	server, err = servers.StartPostgres(dir)
	if err != nil {
		if strings.Contains(os.Getenv(servers.LanesVariable), "production") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { check(t, server.Kill()) })
	database, _, err = servers.CreateDatabase(t.Context(), server.URL())
	check(t, err)
	return server, database
}

// TestDatabaseIsAway: in mode kafka, webhooks are accepted while PostgreSQL is stopped, and
// applied when it is back.
func TestDatabaseIsAway(t *testing.T) {
	t.Parallel()
	server, database := startPostgres(t)
	s := openShop(t, time.Time{})
	p := launch(t, all(t, "kafka", "--sources", s.file), "DATABASE_URL="+database)
	r := record(t, map[string]*process{"a": p})
	r.during(3*time.Minute, func() { s.mustPay(t, p, 3) })
	r.want("before the fault")

	check(t, server.Stop())
	s.mustPay(t, p, 1) // the ledger tries to apply it
	awaitUnready(t, p, "database")
	for range 7 {
		before := r.value("payrelay_store_errors_total", "kind", "other")
		await(t, "another failed operation", func() bool { return peek(p, "payrelay_store_errors_total", "kind", "other") > before })
		r.during(time.Minute, func() { s.mustPay(t, p, 1) })
	}
	r.want("soon after the fault", "PayrelayNotReady (page)", "PayrelayStoreErrors (page)")
	for range 6 {
		before := r.value("payrelay_consumer_lag_records")
		s.mustPay(t, p, 400)
		await(t, "the lag to grow", func() bool { return peek(p, "payrelay_consumer_lag_records") >= before+400 })
		r.during(5*time.Minute, nothing)
	}
	want := []string{"PayrelayLagGrowing (ticket)", "PayrelayNotReady (page)", "PayrelayUpdatesWaiting (page)"}
	r.hold(4*time.Minute, step)
	r.want("without a database", want...)

	check(t, server.Start())
	await(t, "everything to be applied", func() bool {
		return peek(p, "payrelay_oldest_unapplied_update_seconds") == 0 && peek(p, "payrelay_consumer_lag_records") == 0
	})
	r.during(20*time.Minute, func() { s.mustPay(t, p, 1) })
	r.want("with the database")
}

// TestDatabaseIsSlow: commits wait for a lock for more than a second.
func TestDatabaseIsSlow(t *testing.T) {
	t.Parallel()
	_, database := startPostgres(t)
	s := openShop(t, time.Time{})
	p := launch(t, all(t, "direct", "--sources", s.file), "DATABASE_URL="+database)
	r := record(t, map[string]*process{"a": p})
	r.during(2*time.Minute, func() { s.mustPay(t, p, 1) })
	for range 4 {
		locked := make(chan error, 1)
		go func() {
			locked <- servers.Execute(t.Context(), database, "BEGIN; LOCK TABLE events IN EXCLUSIVE MODE; SELECT pg_sleep(1.5); COMMIT")
		}()
		for waits := true; waits; {
			s.mustPay(t, p, 1)
			select {
			case err := <-locked:
				check(t, err)
				waits = false
			default:
			}
		}
		r.during(4*time.Minute, nothing)
	}
	r.want("with a slow database", "PayrelayStoreSlow (ticket)")
}

// TestQueueIsFull: more webhooks arrive than a database can take that does not answer.
func TestQueueIsFull(t *testing.T) {
	server, database := startPostgres(t)
	p := launch(t, all(t, "direct"), "DATABASE_URL="+database)
	r := record(t, map[string]*process{"a": p})
	r.during(2*time.Minute, nothing)
	check(t, server.Freeze())
	t.Cleanup(func() { check(t, server.Thaw()) })

	var senders sync.WaitGroup
	send := func(i, size int) {
		senders.Go(func() {
			body := order(fmt.Sprint("event-", i), fmt.Sprint("order-", i), "success", time.Now(), fmt.Sprintf(`, "text": %q`, strings.Repeat("x", size)))
			post(p.URL("ingest")+"/webhooks/payments/orders", body) // the answer is 503, or none
		})
	}
	// The first batches are under way when the large ones come.
	for i := range 16 {
		send(i, 1)
	}
	await(t, "the first webhooks", func() bool { return peek(p, "payrelay_http_requests_in_flight", "listener", "ingest") == 16 })
	for i := range 250 {
		send(100+i, 250<<10)
	}
	await(t, "the queue to fill", func() bool { return peek(p, "payrelay_batch_waiting_bytes", "stage", "ledger") > 50<<20 })
	awaitUnready(t, p, "database")
	r.scrape()
	r.hold(8*time.Minute, step)
	r.want("with a full queue", "PayrelayNotReady (page)", "PayrelayQueueFull (page)", "PayrelayUpdatesWaiting (page)")
	check(t, server.Thaw())
	senders.Wait()
	if status, answer := post(p.URL("ingest")+"/webhooks/payments/orders", order("last", "last", "success", time.Now(), "")); status != http.StatusOK {
		t.Errorf("a webhook after the fault is answered %d %s, want 200", status, answer)
	}
}
