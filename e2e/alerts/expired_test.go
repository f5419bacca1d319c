package alerts

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/payrelay/payrelay/e2e/program"
)

// TestRecordsExpire: while the api role is away, the broker deletes records that it has not
// applied.
func TestRecordsExpire(t *testing.T) {
	t.Parallel()
	s, data := openShop(t, time.Time{}), filepath.Join(t.TempDir(), "data")
	topics := []string{"webhooks.orders", "webhooks.disputes"}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topics...))
	check(t, err)
	t.Cleanup(cluster.Close)
	brokers := strings.Join(cluster.ListenAddrs(), ",")
	serve := program.Serve{Role: "api", Mode: "kafka", Brokers: brokers, DataDir: data, Admin: free, API: free, Internal: free}
	ingest := launch(t, program.Serve{Role: "ingest", Mode: "kafka", Brokers: brokers, Admin: free, Ingest: free, More: []string{"--sources", s.file}})
	api := launch(t, serve)
	s.mustPay(t, ingest, 5)
	await(t, "the first webhooks to be applied", func() bool { return peek(api, "payrelay_events_total", "verdict", "applied") == 5 })
	check(t, api.Terminate(startWithin))
	s.mustPay(t, ingest, 10)
	check(t, cluster.DeleteRecords(topics[0], 0, 15))

	api = launch(t, serve)
	r := record(t, map[string]*process{"api": api, "ingest": ingest})
	await(t, "the loss to be noticed", func() bool { return peek(api, "payrelay_consumer_expired_records") == 10 })
	r.scrape()
	r.want("after the loss", "PayrelayRecordsExpired (page)")
	check(t, api.Terminate(startWithin))
	api = launch(t, serve)
	awaitReady(t, api)
	r.targets["api"] = api
	r.during(5*time.Minute, func() { s.mustPay(t, ingest, 1) })
	r.want("after a restart", "PayrelayRecordsExpired (page)")
	await(t, "everything to be applied", func() bool {
		return peek(api, "payrelay_oldest_unapplied_update_seconds") == 0 && peek(api, "payrelay_consumer_lag_records") == 0 &&
			peek(ingest, "payrelay_oldest_unapplied_update_seconds") == 0
	})
	r.scrape()
	r.hold(25*time.Hour, 5*time.Minute)
	r.want("a day later")
}
