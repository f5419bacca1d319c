package kafka

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// watched is a consumer whose log is recorded.
type watched struct {
	*Consumer
	run *transporttest.Running
	log logged
}

func watch(t *testing.T, cfg Config, l *ledger) watched {
	t.Helper()
	log := make(logged, 1000)
	c, err := NewConsumer(cfg, l, l, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return watched{c, transporttest.Start(c.Run), log}
}

// stop stops the consumer and returns its log.
func (w watched) stop(t *testing.T) string {
	t.Helper()
	if err := w.run.Stop(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for {
		select {
		case line := <-w.log:
			all.WriteString(line)
		default:
			return all.String()
		}
	}
}

func onePartition(t *testing.T) Config {
	t.Helper()
	cfg := Config{TopicConfig: topicNames, ClusterConfig: startCluster(t, 1)}
	createTopics(t, cfg, 1, 1, map[string]string{SettingRetentionTime: "-1"})
	return cfg
}

// Records that expired unapplied are logged once, and counted.
func TestExpiredRecordsAreLogged(t *testing.T) {
	cfg := onePartition(t)
	publishAll(t, cfg, 0, 10)
	first := &ledger{}
	w := watch(t, cfg, first)
	wait.Until(t, patience, "the first records", func() bool { return len(first.applied()) == 10 })
	if log := w.stop(t); strings.Contains(log, "ERROR") {
		t.Errorf("without an expired record the log is %s", log)
	}
	publishAll(t, cfg, 10, 20)
	err := WithAdmin(t.Context(), cfg.ClusterConfig, func(admin sarama.ClusterAdmin) error {
		return admin.DeleteRecords(cfg.OrdersTopic, map[int32]int64{0: 15})
	})
	if err != nil {
		t.Fatal(err)
	}
	second := &ledger{}
	w = watch(t, cfg, second)
	wait.Until(t, patience, "the records that are left", func() bool { return len(second.applied()) == 5 })
	if expired := w.Expired(); expired != 5 {
		t.Errorf("Expired() = %d, want 5", expired)
	}
	if log := w.stop(t); strings.Count(log, "deleted before they were applied") != 1 || !strings.Contains(log, "applied=10 oldest=15") {
		t.Errorf("the log is %s", log)
	}
	third := watch(t, cfg, &ledger{})
	wait.Until(t, patience, "the group", third.Ready)
	if log := third.stop(t); strings.Contains(log, "ERROR") || third.Expired() != 0 {
		t.Errorf("the expired records are logged again: %s", log)
	}
}

// A log that ends before the committed offset has lost its end. Records published since
// must not be skipped.
func TestALogThatLostItsEndIsAppliedAgain(t *testing.T) {
	cfg := onePartition(t)
	w := watch(t, cfg, &ledger{})
	wait.Until(t, patience, "the group", w.Ready)
	w.stop(t)
	publishAll(t, cfg, 0, 10)
	commitOffset(t, cfg, 50)
	first := &ledger{}
	w = watch(t, cfg, first)
	wait.Until(t, patience, "all records", func() bool { return len(first.applied()) == 10 })
	if log := w.stop(t); strings.Count(log, "has lost its end") != 1 {
		t.Errorf("the log is %s", log)
	}
	publishAll(t, cfg, 10, 60)
	second := &ledger{}
	w = watch(t, cfg, second)
	wait.Until(t, patience, "the records published meanwhile", func() bool { return len(second.applied()) == 50 })
	if log := w.stop(t); strings.Contains(log, "ERROR") {
		t.Errorf("the log is %s", log)
	}
}

// commitOffset commits an offset of the group in the partition of orders.
func commitOffset(t *testing.T, cfg Config, offset int64) {
	t.Helper()
	config, err := consumerConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client, err := sarama.NewClient(cfg.Brokers, config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	manager, err := sarama.NewOffsetManagerFromClient(cfg.Group, client)
	if err != nil {
		t.Fatal(err)
	}
	partition, err := manager.ManagePartition(cfg.OrdersTopic, 0)
	if err != nil {
		t.Fatal(err)
	}
	partition.MarkOffset(offset, "")
	manager.Commit()
	partition.AsyncClose()
	if err := manager.Close(); err != nil {
		t.Fatal(err)
	}
}
