package transport

import (
	"context"
	"errors"
	"flag"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// startCluster is a cluster that lets its topics be created and described, which
// the embedded broker does not. It forgets everything when it stops.
func startCluster(t *testing.T, brokers int, options ...kfake.Opt) ClusterConfig {
	t.Helper()
	return ClusterConfig{Brokers: newCluster(t, brokers, options...).ListenAddrs()}
}

// newCluster is startCluster for who wants to meddle with its answers.
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

func defaultSpec() (spec TopicSpec) {
	spec.RegisterFlags(flag.NewFlagSet("test", flag.ContinueOnError))
	return spec
}

func TestCreateTopics(t *testing.T) {
	cluster := startCluster(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	spec := defaultSpec()
	for _, existed := range []bool{false, true} {
		created, err := CreateTopics(ctx, cluster, topicNames, spec)
		if err != nil || len(created) != 2 {
			t.Fatalf("created %v, %v", created, err)
		}
		for i, topic := range created {
			if topic.Created == existed || topic.Differences != nil || topic.Name != topicNames.Names()[i] {
				t.Errorf("%+v, want it created: %v", topic, !existed)
			}
			if len(topic.Partitions) != 12 || topic.Replicas() != 3 || topic.MinInSync != 2 || topic.UncleanElection {
				t.Errorf("it has another shape: %+v", topic)
			}
			if topic.Retention != 30*24*time.Hour || topic.RetentionBytes != -1 || topic.CleanupPolicy != "delete" {
				t.Errorf("it keeps records otherwise: %+v", topic)
			}
		}
	}
}

func TestCreateTopicsLeavesWhatIsThere(t *testing.T) {
	cluster := startCluster(t, 3)
	small := TopicSpec{Partitions: 1, Replicas: 1, MinInSync: 1}
	if _, err := CreateTopics(t.Context(), cluster, topicNames, small); err != nil {
		t.Fatal(err)
	}
	for range 2 { // saying so changes nothing either
		created, err := CreateTopics(t.Context(), cluster, topicNames, defaultSpec())
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"partitions is 1, not 12", "replication factor is 1, not 3", "min.insync.replicas is 1, not 2", "retention.ms is -1, not 2592000000"}
		if created[0].Created || !reflect.DeepEqual(created[0].Differences, want) {
			t.Errorf("%+v", created[0])
		}
	}
}

func TestCreateTopicsSaysWhatIsWrong(t *testing.T) {
	cluster := startCluster(t, 1)
	if _, err := CreateTopics(t.Context(), cluster, topicNames, defaultSpec()); err == nil || !strings.Contains(err.Error(), "fewer than 3 brokers") {
		t.Errorf("too few brokers: %v", err)
	}
	if _, err := CreateTopics(t.Context(), ClusterConfig{Brokers: []string{"127.0.0.1:1"}}, topicNames, defaultSpec()); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKERS") {
		t.Errorf("no broker: %v", err)
	}
}

func TestTopicSpec(t *testing.T) {
	if err := defaultSpec().Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for name, spoil := range map[string]func(*TopicSpec){
		"--partitions":          func(s *TopicSpec) { s.Partitions = 0 },
		"--replication-factor":  func(s *TopicSpec) { s.Replicas = 0 },
		"--min-insync-replicas": func(s *TopicSpec) { s.MinInSync = 4 },
		"--retention":           func(s *TopicSpec) { s.Retention = time.Second },
	} {
		spec := defaultSpec()
		spoil(&spec)
		if err := spec.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestTopicSettings(t *testing.T) {
	settings := TopicSpec{Partitions: 1, Replicas: 1, MinInSync: 1}.settings()
	topic := Topic{Name: "webhooks.orders"}
	if err := topic.parseSettings(settings); err != nil || topic.Retention >= 0 || topic.compacted() {
		t.Errorf("own settings are read as %+v, %v", topic, err)
	}
	settings[retentionTime], settings[cleanupPolicy] = "9223372036854775807", "compact,delete"
	if err := topic.parseSettings(settings); err != nil || topic.Retention >= 0 || !topic.compacted() {
		t.Errorf("for ever, in other words, is read as %+v, %v", topic, err)
	}
	settings[minInSyncReplicas] = "two"
	if err := topic.parseSettings(settings); err == nil || errors.Is(err, errUntold) {
		t.Errorf("a setting that is no number: %v", err)
	}
	delete(settings, minInSyncReplicas)
	if err := topic.parseSettings(settings); !errors.Is(err, errUntold) || !strings.Contains(err.Error(), minInSyncReplicas) {
		t.Errorf("a setting that the brokers do not tell: %v", err)
	}
}
