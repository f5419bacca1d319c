package topics

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// shaped returns a topic of the default shape, changed by spoil.
func shaped(spoil func(*kafka.Topic)) kafka.Topic {
	t := kafka.Topic{Name: "webhooks.orders", MinInSync: 2, CleanupPolicy: "delete", Retention: 30 * 24 * time.Hour, RetentionBytes: -1, MaxMessageBytes: kafka.MinMessageBytes}
	for range 2 {
		t.Partitions = append(t.Partitions, kafka.Partition{Leader: 1, Replicas: []int32{1, 2, 3}, InSync: []int32{1, 2, 3}})
	}
	spoil(&t)
	return t
}

func TestProblems(t *testing.T) {
	for want, spoil := range map[string]func(*kafka.Topic){
		"no record is ever acknowledged": func(t *kafka.Topic) { t.MinInSync = 4 },
		"one update of each order":       func(t *kafka.Topic) { t.CleanupPolicy = "compact" },
		"deletes updates early":          func(t *kafka.Topic) { t.RetentionBytes = 1 << 30 },
		"away for longer":                func(t *kafka.Topic) { t.Retention = 4*24*time.Hour - 1 },
		"refuses batches":                func(t *kafka.Topic) { t.MaxMessageBytes = 999_999 },
		"can drop acknowledged records":  func(t *kafka.Topic) { t.UncleanElection = true },
		"KAFKA_MIN_COPIES":               func(t *kafka.Topic) { t.MinInSync = 1 },
		"no leader":                      func(t *kafka.Topic) { t.Partitions[1].Leader = -1 },
		"lacks replicas":                 func(t *kafka.Topic) { t.Partitions[1].InSync = []int32{1, 2} },
	} {
		problems := Report{Topic: shaped(spoil)}.Problems(kafka.CopiesConfig{MinCopies: 2})
		if len(problems) != 1 || !strings.Contains(problems[0], want) || !strings.Contains(problems[0], "webhooks.orders") {
			t.Errorf("Problems() = %q, want one with %q", problems, want)
		}
	}
	if problems := (Report{Topic: shaped(func(*kafka.Topic) {})}).Problems(kafka.CopiesConfig{MinCopies: 2}); problems != nil {
		t.Errorf("Problems() of the default shape = %q, want none", problems)
	}
}

func TestProgress(t *testing.T) {
	for name, c := range map[string]struct {
		Progress
		lag     int64
		problem string
	}{
		"empty":             {Progress{Applied: kafka.NoOffset, Aged: kafka.NoOffset}, 0, ""},
		"not yet joined":    {Progress{Applied: kafka.NoOffset, Oldest: 3, Newest: 10, Aged: 3}, 7, ""},
		"caught up":         {Progress{Applied: 10, Oldest: 3, Newest: 10, Aged: 10}, 0, ""},
		"behind":            {Progress{Applied: 6, Oldest: 3, Newest: 10, Aged: 5}, 4, ""},
		"far behind":        {Progress{Applied: 6, Oldest: 3, Newest: 10, Aged: 8}, 4, "2 records have waited"},
		"nothing applied":   {Progress{Applied: kafka.NoOffset, Oldest: 3, Newest: 10, Aged: 10}, 7, "7 records have waited"},
		"deleted unapplied": {Progress{Applied: 6, Oldest: 8, Newest: 10, Aged: 8}, 2, "2 records were deleted"},
		"lost its end":      {Progress{Applied: 50, Oldest: 0, Newest: 10, Aged: kafka.NoOffset}, 0, "has lost its end"},
		"no leader":         {Progress{Applied: 6, Oldest: kafka.UnknownOffset, Newest: kafka.UnknownOffset, Aged: kafka.UnknownOffset}, kafka.UnknownOffset, ""},
		"age unknown":       {Progress{Applied: 6, Oldest: 3, Newest: 10, Aged: kafka.UnknownOffset}, 4, ""},
		"oldest unknown":    {Progress{Applied: kafka.NoOffset, Oldest: kafka.UnknownOffset, Newest: 10, Aged: 10}, kafka.UnknownOffset, ""},
		"group unknown":     {Progress{Applied: kafka.UnknownOffset, Oldest: 3, Newest: 10, Aged: 10}, kafka.UnknownOffset, "do not return the offset"},
	} {
		if c.Lag() != c.lag {
			t.Errorf("%s: Lag() = %d, want %d", name, c.Lag(), c.lag)
		}
		if got := c.Progress.problem(); (got == "") != (c.problem == "") || !strings.Contains(got, c.problem) {
			t.Errorf("%s: problem() = %q, want %q", name, got, c.problem)
		}
	}
}

func TestCheck(t *testing.T) {
	cluster := startCluster(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := Check(ctx, cluster, topicNames); err == nil || !strings.Contains(err.Error(), "app topics create") {
		t.Errorf("Check without topics = %v", err)
	}
	if _, err := Create(ctx, cluster, topicNames, defaultSpec()); err != nil {
		t.Fatal(err)
	}
	cfg := kafka.Config{TopicConfig: topicNames, ClusterConfig: cluster}
	publish(t, cfg, 3)
	reports, err := Check(ctx, cluster, topicNames)
	if err != nil || len(reports) != 2 {
		t.Fatalf("Check = %v, %v, want two reports", reports, err)
	}
	var lag int64
	for _, p := range reports[0].Progress {
		lag += p.Lag()
	}
	if lag != 3 || len(reports[0].Progress) != 12 {
		t.Errorf("lag = %d in %+v, want 3 in 12 partitions", lag, reports[0].Progress)
	}
	for _, r := range reports {
		if problems := r.Problems(kafka.CopiesConfig{MinCopies: 2}); problems != nil {
			t.Errorf("Problems() = %q, want none", problems)
		}
	}
}

// The embedded broker answers only the requests that it needs.
func TestCheckOfTheEmbeddedBroker(t *testing.T) {
	cfg := startBroker(t)
	publish(t, cfg, 1)
	reports, err := Check(t.Context(), cfg.ClusterConfig, cfg.TopicConfig)
	if err != nil {
		t.Fatal(err)
	}
	if r := reports[0]; r.Copies() != 1 || r.Weaknesses() != nil || r.Progress[0].Lag() != 1 || r.Retention >= 0 {
		t.Errorf("report = %+v", r)
	}
}

// What brokers fail to answer about a partition is unknown.
func TestCheckOfBrokersThatFail(t *testing.T) {
	cluster := newCluster(t, 1)
	cfg := kafka.Config{TopicConfig: topicNames, ClusterConfig: kafka.ClusterConfig{Brokers: cluster.ListenAddrs()}}
	spec := Spec{Partitions: 1, Replicas: 1, MinInSync: 1, Retention: 30 * 24 * time.Hour}
	if _, err := Create(t.Context(), cfg.ClusterConfig, topicNames, spec); err != nil {
		t.Fatal(err)
	}
	publish(t, cfg, 1)
	check := func() Progress {
		t.Helper()
		reports, err := Check(t.Context(), cfg.ClusterConfig, topicNames)
		if err != nil {
			t.Fatal(err)
		}
		return reports[0].Progress[0]
	}
	cluster.ControlKey(kmsg.ListOffsets.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := request.(*kmsg.ListOffsetsRequest)
		return failedOffsets(asked), nil, asked.Topics[0].Partitions[0].Timestamp >= 0
	})
	if p := check(); p != (Progress{Applied: kafka.NoOffset, Oldest: 0, Newest: 1, Aged: kafka.UnknownOffset}) || p.problem() != "" {
		t.Errorf("without the aged offsets: progress = %+v, problem %q", p, p.problem())
	}
	cluster.ControlKey(kmsg.OffsetFetch.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return failedFetch(request.(*kmsg.OffsetFetchRequest)), nil, true
	})
	if p := check(); p.Applied != kafka.UnknownOffset || p.Lag() != kafka.UnknownOffset || p.problem() == "" {
		t.Errorf("without the applied offsets: progress = %+v, problem %q", p, p.problem())
	}
}

func failedOffsets(request *kmsg.ListOffsetsRequest) kmsg.Response {
	response := request.ResponseKind().(*kmsg.ListOffsetsResponse)
	for _, asked := range request.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = asked.Topic
		for _, p := range asked.Partitions {
			partition := kmsg.NewListOffsetsResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, kerr.UnknownServerError.Code
			topic.Partitions = append(topic.Partitions, partition)
		}
		response.Topics = append(response.Topics, topic)
	}
	return response
}

func failedFetch(request *kmsg.OffsetFetchRequest) kmsg.Response {
	response := request.ResponseKind().(*kmsg.OffsetFetchResponse)
	for _, asked := range request.Topics {
		topic := kmsg.NewOffsetFetchResponseTopic()
		topic.Topic = asked.Topic
		for _, n := range asked.Partitions {
			partition := kmsg.NewOffsetFetchResponseTopicPartition()
			partition.Partition, partition.Offset, partition.ErrorCode = n, -1, kerr.UnknownServerError.Code
			topic.Partitions = append(topic.Partitions, partition)
		}
		response.Topics = append(response.Topics, topic)
	}
	return response
}

func TestCreateWithoutTheRight(t *testing.T) {
	cluster := startCluster(t, 1, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "admin"), kfake.User("SCRAM-SHA-256", "relay", "secret"))
	cluster.SASLConfig = kafka.SASLConfig{Mechanism: "SCRAM-SHA-256", Username: "relay", Password: "secret"}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := Create(ctx, cluster, topicNames, Spec{Partitions: 1, Replicas: 1, MinInSync: 1}); err == nil || !strings.Contains(err.Error(), "this user may not") {
		t.Errorf("Create without the right = %v, want an error that names the user's right", err)
	}
}
