package cmd

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/payrelay/payrelay/modules/broker"
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
