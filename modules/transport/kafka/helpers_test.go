package kafka

import (
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// patience is how long a test waits for a condition.
const patience = 20 * time.Second

// orderUpdate returns an update of order-1.
func orderUpdate(eventID string) *payrelayv1.Update { return transporttest.Order("order-1", eventID) }

func one() []*payrelayv1.Update { return []*payrelayv1.Update{orderUpdate("event-1")} }

// code returns the code of an error for the sender of the webhook, or "".
func code(err error) string {
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return ""
}

// must returns value, and panics on an error that a test does not expect.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// startCluster starts a cluster in memory where clients can create topics, which they
// cannot on the embedded broker.
func startCluster(t *testing.T, brokers int, options ...kfake.Opt) ClusterConfig {
	t.Helper()
	return ClusterConfig{Brokers: newCluster(t, brokers, options...).ListenAddrs()}
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

var topicNames = TopicConfig{OrdersTopic: "webhooks.orders", DisputesTopic: "webhooks.disputes", Group: "payrelay"}

// safe returns the settings that app topics create gives a topic.
func safe() map[string]string {
	return map[string]string{
		SettingMinInSyncReplicas: "2", SettingUncleanElection: "false", SettingCleanupPolicy: "delete",
		SettingRetentionTime: "2592000000", SettingRetentionBytes: "-1", SettingMaxMessageBytes: "1048588",
	}
}

// createTopics creates the topics and waits until their partitions have leaders.
func createTopics(t *testing.T, cfg Config, partitions int32, replicas int16, settings map[string]string) {
	t.Helper()
	entries := make(map[string]*string)
	for name, value := range settings {
		entries[name] = &value
	}
	err := WithAdmin(t.Context(), cfg.ClusterConfig, func(admin sarama.ClusterAdmin) error {
		for _, name := range cfg.Names() {
			if err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: replicas, ConfigEntries: entries}, false); err != nil {
				return err
			}
			wait.Until(t, patience, "the leaders of "+name, func() bool {
				topic, err := DescribeTopic(admin, name)
				return err == nil && len(topic.Partitions) == int(partitions) && len(topic.Leaderless()) == 0
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
