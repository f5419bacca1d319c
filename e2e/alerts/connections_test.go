package alerts

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
)

// TestConnectionsAreUsedUp: each of twelve partitions has a commit that waits for a lock.
func TestConnectionsAreUsedUp(t *testing.T) {
	t.Parallel()
	_, database := startPostgres(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(12, "webhooks.orders", "webhooks.disputes"))
	check(t, err)
	t.Cleanup(cluster.Close)
	brokers := strings.Join(cluster.ListenAddrs(), ",")
	s := openShop(t, time.Time{})
	api := launch(t, program.Serve{Role: "api", Mode: "kafka", Brokers: brokers, Admin: free, API: free, Internal: free},
		"DATABASE_URL="+withParameters(database, "lock_timeout=25000&statement_timeout=25000"))
	ingest := launch(t, program.Serve{Role: "ingest", Mode: "kafka", Brokers: brokers, Admin: free, Ingest: free, More: []string{"--sources", s.file}})
	r := record(t, map[string]*process{"api": api, "ingest": ingest})
	s.mustPay(t, ingest, 100)
	await(t, "the first webhooks to be applied", func() bool { return peek(api, "payrelay_events_total", "verdict", "applied") == 100 })
	r.during(2*time.Minute, nothing)

	locked := make(chan error, 1)
	go func() {
		locked <- servers.Execute(t.Context(), database, "BEGIN; LOCK TABLE events IN EXCLUSIVE MODE; SELECT pg_sleep(22); COMMIT")
	}()
	await(t, "all connections of the ledger to be in use", func() bool {
		if s.sent < 400 { // by then the lock is taken, and each partition has several
			s.mustPay(t, ingest, 20)
		}
		return peek(api, "payrelay_store_connections", "state", "in_use") >= 12
	})
	r.scrape()
	r.hold(12*time.Minute, step)
	r.want("while commits wait", "PayrelayStoreConnectionsUsedUp (ticket)", "PayrelayUpdatesWaiting (page)")
	check(t, <-locked)
	await(t, "everything to be applied", func() bool { return peek(api, "payrelay_consumer_lag_records") == 0 })
}

// withParameters adds parameters to the URL of a database.
func withParameters(database, parameters string) string {
	if strings.Contains(database, "?") {
		return database + "&" + parameters
	}
	return database + "?" + parameters
}
