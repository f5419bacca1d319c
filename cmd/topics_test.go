package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/transport/kafka"
	"github.com/payrelay/payrelay/modules/transport/kafka/topics"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// runTopics runs app topics with the arguments and returns what it prints.
func runTopics(t *testing.T, args ...string) (string, error) {
	t.Helper()
	command := newTopics()
	command.SilenceUsage, command.SilenceErrors = true, true
	command.SetArgs(args)
	var out strings.Builder
	command.SetOut(&out)
	err := command.ExecuteContext(t.Context())
	return out.String(), err
}

// startBroker starts the embedded broker and returns its address.
func startBroker(t *testing.T) string {
	t.Helper()
	b, err := broker.Open(broker.Config{Addr: "127.0.0.1:0"}, t.TempDir(), []string{"webhooks.orders", "webhooks.disputes"}, "payrelay", transporttest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	run := transporttest.Start(b.Run)
	t.Cleanup(func() {
		if err := run.Stop(); err != nil {
			t.Errorf("stop the broker: %v", err)
		}
	})
	return b.Addr()
}

func TestTopicsOfTheEmbeddedBroker(t *testing.T) {
	addr := startBroker(t)
	out, err := runTopics(t, "check", "--kafka-brokers", addr)
	if err != nil || !strings.Contains(out, "warning: the cluster has one broker") {
		t.Errorf("topics check = %v, want a warning about one broker in\n%s", err, out)
	}
	out, err = runTopics(t, "create", "--kafka-brokers", addr)
	if err != nil || !strings.Contains(out, "webhooks.orders exists") || !strings.Contains(out, "webhooks.disputes exists") {
		t.Errorf("topics create = %v, want both topics to exist in\n%s", err, out)
	}
	if _, err := runTopics(t, "create", "--kafka-brokers", addr, "--kafka-orders-topic", "other"); err == nil || !strings.Contains(err.Error(), "app serve broker") {
		t.Errorf("topics create of another topic = %v, want an error that names app serve broker", err)
	}
}

// TestTopicsOfAModeWithout checks that the commands name the mode of the environment, and
// that brokers which are named are asked nevertheless.
func TestTopicsOfAModeWithout(t *testing.T) {
	t.Setenv("WEBHOOK_MODE", "direct")
	for _, args := range [][]string{{"check"}, {"create"}, {"rewind", "--to", "2026-01-31T12:00:00Z"}} {
		if _, err := runTopics(t, args...); err == nil || !strings.HasPrefix(err.Error(), "mode direct has no topics") {
			t.Errorf("topics %q = %v, want that the mode has no topics", args, err)
		}
	}
	if _, err := runTopics(t, "check", "--kafka-brokers", startBroker(t)); err != nil {
		t.Errorf("topics check of a named broker = %v", err)
	}
}

// An operator who asks for two copies does not get away with one.
func TestTopicsCheckOfTooFewCopies(t *testing.T) {
	addr := startBroker(t)
	if out, err := runTopics(t, "check", "--kafka-brokers", addr, "--kafka-min-copies", "2"); err == nil || !strings.Contains(out, "KAFKA_MIN_COPIES") {
		t.Errorf("topics check of one broker by flag = %v:\n%s", err, out)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	for _, topic := range []string{"webhooks.orders", "webhooks.disputes"} {
		settings := map[string]string{"min.insync.replicas": "1", "unclean.leader.election.enable": "false"}
		if err := cluster.CreateTopic(topic, 1, settings); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := runTopics(t, "check", "--kafka-brokers", cluster.ListenAddrs()[0]); err == nil || !strings.Contains(out, "KAFKA_MIN_COPIES") {
		t.Errorf("topics check of three brokers = %v, want a problem with the copies in\n%s", err, out)
	}
	t.Setenv("KAFKA_MIN_COPIES", "2")
	if out, err := runTopics(t, "check", "--kafka-brokers", addr); err == nil || !strings.Contains(out, "KAFKA_MIN_COPIES") {
		t.Errorf("topics check of one broker by KAFKA_MIN_COPIES = %v:\n%s", err, out)
	}
}

func TestPrintReports(t *testing.T) {
	report := func(inSync ...int32) []topics.Report {
		return []topics.Report{{
			Topic: kafka.Topic{
				Name: "webhooks.orders", MinInSync: 2, CleanupPolicy: "delete", Retention: 30 * 24 * time.Hour, RetentionBytes: -1, MaxMessageBytes: 1 << 20,
				Partitions: []kafka.Partition{{Leader: 2, Replicas: []int32{1, 2, 3}, InSync: inSync}},
			},
			Progress: []topics.Progress{{Applied: -1, Oldest: 5, Newest: 12, Aged: 5}},
		}}
	}
	var out strings.Builder
	if err := printReports(&out, report(1, 2, 3), kafka.CopiesConfig{MinCopies: 2}); err != nil {
		t.Errorf("a safe topic: %v", err)
	}
	want := "TOPIC            PARTITIONS  REPLICAS  MIN IN SYNC  RETENTION  LEADERLESS  UNDER-REPLICATED\n" +
		"webhooks.orders  1           3         2            30 days    0           0\n" +
		"\n" +
		"TOPIC            PARTITION  LEADER  IN SYNC  OLDEST  APPLIED  NEWEST  LAG\n" +
		"webhooks.orders  0          2       3 of 3   5       -        12      7\n"
	if out.String() != want {
		t.Errorf("printed\n%s, want\n%s", out.String(), want)
	}
	out.Reset()
	if err := printReports(&out, report(1, 2), kafka.CopiesConfig{MinCopies: 3}); err == nil || !strings.Contains(err.Error(), "2") {
		t.Errorf("an unsafe topic: %v", err)
	}
	for _, says := range []string{"lacks replicas", "KAFKA_MIN_COPIES"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("it does not say %q:\n%s", says, out.String())
		}
	}
}

func TestPrintCreated(t *testing.T) {
	topic := kafka.Topic{Name: "webhooks.orders", MinInSync: 2, Partitions: []kafka.Partition{{Replicas: []int32{1, 2, 3}}}}
	for want, created := range map[string]topics.Created{
		"created webhooks.orders: 1 partitions, replication factor 3, min.insync.replicas 2\n": {Topic: topic, Created: true},
		"webhooks.orders exists: 1 partitions, replication factor 3, min.insync.replicas 2\n":  {Topic: topic},
		"webhooks.orders exists and was not changed: a is 1, not 2; b is 3, not 4\n":           {Topic: topic, Differences: []string{"a is 1, not 2", "b is 3, not 4"}},
	} {
		var out strings.Builder
		printCreated(&out, created)
		if out.String() != want {
			t.Errorf("printed %q, want %q", out.String(), want)
		}
	}
}
