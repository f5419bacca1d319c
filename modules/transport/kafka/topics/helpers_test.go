package topics

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/transport/kafka"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// patience is how long a test waits for a condition.
const patience = 20 * time.Second

// startCluster starts a cluster in memory where clients can create topics, which they
// cannot on the embedded broker.
func startCluster(t *testing.T, brokers int, options ...kfake.Opt) kafka.ClusterConfig {
	t.Helper()
	return kafka.ClusterConfig{Brokers: newCluster(t, brokers, options...).ListenAddrs()}
}

// newCluster is startCluster for tests that change the answers.
func newCluster(t *testing.T, brokers int, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(brokers))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

var topicNames = kafka.TopicConfig{OrdersTopic: "webhooks.orders", DisputesTopic: "webhooks.disputes", Group: "payrelay"}

// startBroker starts the embedded broker.
func startBroker(t *testing.T) kafka.Config {
	t.Helper()
	b, err := broker.Open(broker.Config{Addr: "127.0.0.1:0"}, t.TempDir(), topicNames.Names(), topicNames.Group, transporttest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	run := transporttest.Start(b.Run)
	t.Cleanup(func() {
		if err := run.Stop(); err != nil {
			t.Errorf("stop the broker: %v", err)
		}
	})
	return kafka.Config{TopicConfig: topicNames, ClusterConfig: kafka.ClusterConfig{Brokers: []string{b.Addr()}}}
}

// publish publishes n updates of one order.
func publish(t *testing.T, cfg kafka.Config, n int) {
	t.Helper()
	producer, err := kafka.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	for i := range n {
		update := transporttest.Order("order-1", fmt.Sprintf("event-%d", i))
		if _, err := producer.Apply(t.Context(), []*payrelayv1.Update{update}); err != nil {
			t.Fatal(err)
		}
	}
}
