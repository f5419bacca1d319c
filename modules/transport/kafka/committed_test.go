package kafka

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/payrelay/payrelay/internal/wait"
)

func TestCommittedRecords(t *testing.T) {
	cfg := Config{TopicConfig: topicNames, ClusterConfig: startCluster(t, 1)}
	createTopics(t, cfg, 3, 1, nil)
	readsCommittedRecords(t, cfg)
}

// readsCommittedRecords checks that a consumer skips the records of aborted transactions,
// and applies those of committed ones, and those without a transaction, in their order.
func readsCommittedRecords(t *testing.T, cfg Config) {
	t.Helper()
	open := func(options ...kgo.Opt) *kgo.Client {
		client := must(kgo.NewClient(append(options, kgo.SeedBrokers(cfg.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...))
		t.Cleanup(client.Close)
		return client
	}
	publish := func(client *kgo.Client, event string) {
		t.Helper()
		update := orderUpdate(event)
		record := &kgo.Record{Topic: cfg.OrdersTopic, Key: []byte(update.GetOrderId()), Value: must(proto.Marshal(update))}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	plain, transactional := open(), open(kgo.TransactionalID("migration"))
	transaction := func(event string, end kgo.TransactionEndTry) {
		t.Helper()
		if err := transactional.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		publish(transactional, event)
		publish(plain, "beside "+event)
		if err := transactional.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	far := new(ledger)
	consume(t, cfg, far)
	transaction("aborted", kgo.TryAbort)
	transaction("committed", kgo.TryCommit)
	transaction("aborted again", kgo.TryAbort)
	publish(plain, "last")

	wait.Until(t, patience, "the last record", func() bool { return slices.Contains(far.applied(), "last") })
	want := []string{"beside aborted", "committed", "beside committed", "beside aborted again", "last"}
	if got := far.applied(); !slices.Equal(got, want) {
		t.Errorf("applied %q, want %q", got, want)
	}
}
