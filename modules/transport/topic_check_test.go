package transport

import (
	"context"
	"strings"
	"testing"
	"time"
)

// shaped is a topic of the default shape, spoilt.
func shaped(spoil func(*Topic)) Topic {
	t := Topic{Name: "webhooks.orders", MinInSync: 2, CleanupPolicy: "delete", Retention: shortRetention, RetentionBytes: -1, MaxMessageBytes: minMessageBytes}
	for range 2 {
		t.Partitions = append(t.Partitions, Partition{Leader: 1, Replicas: []int32{1, 2, 3}, InSync: []int32{1, 2, 3}})
	}
	spoil(&t)
	return t
}

func TestCopies(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Topic)
		want  int
	}{
		"as created":              {func(*Topic) {}, 2},
		"one in sync suffices":    {func(t *Topic) { t.MinInSync = 1 }, 1},
		"more in sync than exist": {func(t *Topic) { t.MinInSync = 4 }, 3},
		"unclean election":        {func(t *Topic) { t.UncleanElection = true }, 0},
		"one partition with one replica": {func(t *Topic) {
			t.Partitions[1].Replicas = []int32{2}
		}, 1},
		"one replica has nobody to be replaced by": {func(t *Topic) {
			t.Partitions[0].Replicas, t.Partitions[1].Replicas, t.UncleanElection = []int32{1}, []int32{2}, true
		}, 1},
		"no partition": {func(t *Topic) { t.Partitions = nil }, 0},
	} {
		if got := shaped(c.spoil).Copies(); got != c.want {
			t.Errorf("%s: %d copies, want %d", name, got, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	for want, spoil := range map[string]func(*Topic){
		"no record is ever acknowledged": func(t *Topic) { t.MinInSync = 4 },
		"one update of each order":       func(t *Topic) { t.CleanupPolicy = "compact" },
		"the sooner the more":            func(t *Topic) { t.RetentionBytes = 1 << 30 },
		"away for longer":                func(t *Topic) { t.Retention = shortRetention - 1 },
		"refuses batches":                func(t *Topic) { t.MaxMessageBytes = producerMaxBytes - 1 },
		"drops acknowledged records":     func(t *Topic) { t.UncleanElection = true },
		"KAFKA_MIN_COPIES":               func(t *Topic) { t.MinInSync = 1 },
		"no leader":                      func(t *Topic) { t.Partitions[1].Leader = -1 },
		"lacks replicas":                 func(t *Topic) { t.Partitions[1].InSync = []int32{1, 2} },
	} {
		problems := TopicReport{Topic: shaped(spoil)}.Problems(CopiesConfig{MinCopies: 2})
		if len(problems) != 1 || !strings.Contains(problems[0], want) || !strings.Contains(problems[0], "webhooks.orders") {
			t.Errorf("problems are %q, want one that says %q", problems, want)
		}
	}
	if problems := (TopicReport{Topic: shaped(func(*Topic) {})}).Problems(CopiesConfig{MinCopies: 2}); problems != nil {
		t.Errorf("the default shape has problems: %q", problems)
	}
}

func TestProgress(t *testing.T) {
	for name, c := range map[string]struct {
		Progress
		lag     int64
		problem string
	}{
		"empty":             {Progress{Applied: -1, Aged: -1}, 0, ""},
		"not yet joined":    {Progress{Applied: -1, Oldest: 3, Newest: 10, Aged: 3}, 7, ""},
		"caught up":         {Progress{Applied: 10, Oldest: 3, Newest: 10, Aged: 10}, 0, ""},
		"behind":            {Progress{Applied: 6, Oldest: 3, Newest: 10, Aged: 5}, 4, ""},
		"far behind":        {Progress{Applied: 6, Oldest: 3, Newest: 10, Aged: 8}, 4, "2 records have waited"},
		"nothing applied":   {Progress{Applied: -1, Oldest: 3, Newest: 10, Aged: 10}, 7, "7 records have waited"},
		"deleted unapplied": {Progress{Applied: 6, Oldest: 8, Newest: 10, Aged: 8}, 2, "2 records were deleted"},
		"lost its end":      {Progress{Applied: 50, Oldest: 0, Newest: 10, Aged: -1}, 0, "has lost its end"},
		"no leader":         {Progress{Applied: 6, Oldest: -1, Newest: -1, Aged: -1}, -1, ""},
	} {
		if c.Lag() != c.lag {
			t.Errorf("%s: lag is %d, want %d", name, c.Lag(), c.lag)
		}
		if got := c.Progress.problem(); (got == "") != (c.problem == "") || !strings.Contains(got, c.problem) {
			t.Errorf("%s: problem is %q, want %q", name, got, c.problem)
		}
	}
}

func TestCheckTopics(t *testing.T) {
	cluster := startCluster(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := CheckTopics(ctx, cluster, topicNames); err == nil || !strings.Contains(err.Error(), "app topics create") {
		t.Errorf("without topics: %v", err)
	}
	if _, err := CreateTopics(ctx, cluster, topicNames, defaultSpec()); err != nil {
		t.Fatal(err)
	}
	cfg := KafkaConfig{TopicConfig: topicNames, ClusterConfig: cluster}
	for range 3 {
		publishRaw(t, cfg, []byte("garbage"))
	}
	reports, err := CheckTopics(ctx, cluster, topicNames)
	if err != nil || len(reports) != 2 {
		t.Fatalf("%v, %v", reports, err)
	}
	var lag int64
	for _, p := range reports[0].Progress {
		lag += p.Lag()
	}
	if lag != 3 || len(reports[0].Progress) != 12 {
		t.Errorf("lag is %d in %+v", lag, reports[0].Progress)
	}
	for _, r := range reports {
		if problems := r.Problems(CopiesConfig{MinCopies: 2}); problems != nil {
			t.Errorf("problems: %q", problems)
		}
	}
}

// The embedded broker refuses questions that have no use there.
func TestCheckTopicsOfTheEmbeddedBroker(t *testing.T) {
	_, cfg := startKafka(t)
	publishRaw(t, cfg, []byte("garbage"))
	reports, err := CheckTopics(t.Context(), cfg.ClusterConfig, cfg.TopicConfig)
	if err != nil {
		t.Fatal(err)
	}
	if r := reports[0]; r.Copies() != 1 || r.Weaknesses() != nil || r.Progress[0].Lag() != 1 || r.Retention >= 0 {
		t.Errorf("report is %+v", r)
	}
}
