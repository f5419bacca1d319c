package topics

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/servers"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/transport/kafka"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

func startApacheKafka(t *testing.T, nodes int) *servers.Kafka {
	t.Helper()
	libs := servers.Need(t, servers.KafkaLibsVariable)[0]
	cluster, err := servers.StartKafka(libs, t.TempDir(), nodes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Errorf("stop Kafka: %v", err)
		}
	})
	return cluster
}

// newTopics creates topics that no other test uses.
func newTopics(t *testing.T, cluster *servers.Kafka, spec Spec) kafka.Config {
	t.Helper()
	name := strings.ToLower(rand.Text())
	cfg := kafka.Config{
		TopicConfig:   kafka.TopicConfig{OrdersTopic: name + ".orders", DisputesTopic: name + ".disputes", Group: name},
		ClusterConfig: kafka.ClusterConfig{Brokers: strings.Split(cluster.Brokers(), ",")},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := Create(ctx, cfg.ClusterConfig, cfg.TopicConfig, spec); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// counter is the far side of a consumer.
type counter struct{ applied atomic.Int64 }

func (c *counter) Apply(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	c.applied.Add(int64(len(updates)))
	return make([]*payrelayv1.Outcome, len(updates)), nil
}

func (c *counter) DeadLetter(context.Context, *payrelayv1.UndecodableRecord) error { return nil }

func consume(t *testing.T, cfg kafka.Config, c *counter) (consumer *kafka.Consumer, stop func()) {
	t.Helper()
	consumer, err := kafka.NewConsumer(cfg, c, c, transporttest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	run := transporttest.Start(consumer.Run)
	stop = sync.OnceFunc(func() {
		if err := run.Stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return consumer, stop
}

// relays fails unless an update is published and applied with cfg.
func relays(t *testing.T, cfg kafka.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := kafka.AwaitTopics(ctx, cfg); err != nil {
		t.Fatalf("AwaitTopics: %v", err)
	}
	if _, err := Check(ctx, cfg.ClusterConfig, cfg.TopicConfig); err != nil {
		t.Errorf("Check: %v", err)
	}
	c := new(counter)
	// A consumer that went on would take the updates of the next call.
	_, stop := consume(t, cfg, c)
	defer stop()
	publish(t, cfg, 1)
	wait.Until(t, patience, "the update", func() bool { return c.applied.Load() > 0 })
}

// leaderless fails unless Check reports that one of three partitions has no leader, and
// the consumer continues with the others.
func leaderless(t *testing.T, cfg kafka.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	reports, err := Check(ctx, cfg.ClusterConfig, cfg.TopicConfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		none := r.Leaderless()
		if len(none) != 1 || r.Progress[none[0]].Lag() != kafka.UnknownOffset {
			t.Errorf("report without a leader = %+v", r)
		}
	}
	consumer, _ := consume(t, cfg, new(counter))
	wait.Until(t, patience, "the other partitions", func() bool {
		var partitions int
		consumer.PartitionLags(func(string, int32, int64) { partitions++ })
		return consumer.Ready() && partitions == 4
	})
	if records, known := consumer.Lag(); known {
		t.Errorf("Lag() = %d, want it unknown without two partitions", records)
	}
}

// A cluster of three nodes loses one.
func TestTopicsOfApacheKafka(t *testing.T) {
	t.Parallel()
	cluster := startApacheKafka(t, 3)
	cfg := newTopics(t, cluster, defaultSpec())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again, err := Create(ctx, cfg.ClusterConfig, cfg.TopicConfig, defaultSpec())
	if err != nil || again[0].Created || again[0].Differences != nil {
		t.Errorf("Create of existing topics = %+v, %v", again, err)
	}
	cfg.MinCopies = 2
	if warnings, err := kafka.AwaitTopics(ctx, cfg); err != nil || warnings != nil {
		t.Errorf("AwaitTopics = %q, %v, want no warning", warnings, err)
	}
	relays(t, cfg)
	problems := func() (all []string) {
		reports, err := Check(ctx, cfg.ClusterConfig, cfg.TopicConfig)
		for _, r := range reports {
			all = append(all, r.Problems(cfg.CopiesConfig)...)
		}
		if err != nil {
			all = append(all, err.Error())
		}
		return all
	}
	if found := problems(); found != nil {
		t.Errorf("problems = %q, want none", found)
	}
	lone := newTopics(t, cluster, Spec{Partitions: 3, Replicas: 1, MinInSync: 1})
	if err := cluster.Nodes()[2].Kill(); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, patience, "the lost replicas to be noticed", func() bool {
		found := problems()
		return len(found) == 2 && strings.Contains(found[0], "lacks replicas of the partitions [0 1 2")
	})
	relays(t, cfg) // two of three replicas are enough
	leaderless(t, lone)

	others := kafka.TopicConfig{OrdersTopic: "a", DisputesTopic: "b"}
	if _, err := Create(ctx, cfg.ClusterConfig, others, Spec{Partitions: 1, Replicas: 4, MinInSync: 1}); err == nil || !strings.Contains(err.Error(), "fewer than 4 brokers") {
		t.Errorf("Create with more replicas than brokers = %v", err)
	}
	others.OrdersTopic = "not a name"
	if _, err := Create(ctx, cfg.ClusterConfig, others, Spec{Partitions: 1, Replicas: 1, MinInSync: 1}); err == nil || !strings.Contains(err.Error(), "not a name") {
		t.Errorf("Create with an invalid name = %v", err)
	}
}
