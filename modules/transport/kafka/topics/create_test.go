package topics

import (
	"context"
	"flag"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/transport/kafka"
)

func defaultSpec() (spec Spec) {
	spec.RegisterFlags(flag.NewFlagSet("test", flag.ContinueOnError))
	return spec
}

func TestCreate(t *testing.T) {
	cluster := startCluster(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	spec := defaultSpec()
	for _, existed := range []bool{false, true} {
		created, err := Create(ctx, cluster, topicNames, spec)
		if err != nil || len(created) != 2 {
			t.Fatalf("Create = %v, %v, want two topics", created, err)
		}
		for i, topic := range created {
			if topic.Created == existed || topic.Differences != nil || topic.Name != topicNames.Names()[i] {
				t.Errorf("%+v, want Created = %v", topic, !existed)
			}
			if len(topic.Partitions) != 12 || topic.Replicas() != 3 || topic.MinInSync != 2 || topic.UncleanElection {
				t.Errorf("the shape is %+v", topic)
			}
			if topic.Retention != 30*24*time.Hour || topic.RetentionBytes != -1 || topic.CleanupPolicy != "delete" {
				t.Errorf("the retention is %+v", topic)
			}
		}
	}
}

func TestCreateLeavesExistingTopics(t *testing.T) {
	cluster := startCluster(t, 3)
	small := Spec{Partitions: 1, Replicas: 1, MinInSync: 1}
	if _, err := Create(t.Context(), cluster, topicNames, small); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first call must not change the topic
		created, err := Create(t.Context(), cluster, topicNames, defaultSpec())
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"partitions is 1, not 12", "replication factor is 1, not 3", "min.insync.replicas is 1, not 2", "retention.ms is -1, not 2592000000"}
		if created[0].Created || !reflect.DeepEqual(created[0].Differences, want) {
			t.Errorf("Create of an existing topic = %+v, want the differences %q", created[0], want)
		}
	}
}

func TestCreateSaysWhatIsWrong(t *testing.T) {
	cluster := startCluster(t, 1)
	if _, err := Create(t.Context(), cluster, topicNames, defaultSpec()); err == nil || !strings.Contains(err.Error(), "fewer than 3 brokers") {
		t.Errorf("Create with too few brokers = %v", err)
	}
	if _, err := Create(t.Context(), kafka.ClusterConfig{Brokers: []string{"127.0.0.1:1"}}, topicNames, defaultSpec()); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKERS") {
		t.Errorf("Create without a broker = %v", err)
	}
}

func TestSpec(t *testing.T) {
	if err := defaultSpec().Validate(); err != nil {
		t.Errorf("Validate() of the defaults = %v", err)
	}
	for name, spoil := range map[string]func(*Spec){
		"--partitions":          func(s *Spec) { s.Partitions = 0 },
		"--replication-factor":  func(s *Spec) { s.Replicas = 0 },
		"--min-insync-replicas": func(s *Spec) { s.MinInSync = 4 },
		"--retention":           func(s *Spec) { s.Retention = time.Second },
	} {
		spec := defaultSpec()
		spoil(&spec)
		if err := spec.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Validate() = %v, want an error that names %s", err, name)
		}
	}
}
