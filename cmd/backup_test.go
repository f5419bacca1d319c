package cmd

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/transport/kafka"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// A backup that starts the embedded broker deletes none of its applied records: an older
// backup may need them.
func TestBackupKeepsAppliedRecords(t *testing.T) {
	const records = 40 // of 900 kB, more than two segments
	var cfg backupConfig
	cfg.data.Path = t.TempDir()
	cfg.topics = kafka.TopicConfig{OrdersTopic: "webhooks.orders", DisputesTopic: "webhooks.disputes", Group: "payrelay"}
	keepAll := broker.Config{Addr: "127.0.0.1:0", Keep: time.Hour, KeepBytes: 1 << 40}
	b, err := broker.Open(keepAll, cfg.data.BrokerDir(), cfg.topics.Names(), cfg.topics.Group, transporttest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	run := transporttest.Start(b.Run)
	fillAndCommit(t, b.Addr(), cfg.topics, records)
	if err := run.Stop(); err != nil {
		t.Fatal(err)
	}
	pattern := filepath.Join(cfg.data.BrokerDir(), "partitions", "webhooks.orders-0", "*.dat")
	before, err := filepath.Glob(pattern)
	if err != nil || len(before) < 3 {
		t.Fatalf("segments = %q, %v, want at least 3", before, err)
	}
	old := time.Now().Add(-24 * time.Hour)
	for _, file := range before {
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // the broker trims its log right after its start
		positions, err := cfg.positions(t.Context())
		if err != nil || len(positions) != 2 {
			t.Fatalf("positions = %+v, %v, want those of two topics", positions, err)
		}
		cluster := positions[0].Cluster
		if want := (sqlite.Position{Cluster: cluster, Topic: "webhooks.orders", Offset: records}); cluster == "" || !slices.Contains(positions, want) {
			t.Fatalf("positions = %+v, want %+v", positions, want)
		}
	}
	if after, err := filepath.Glob(pattern); err != nil || !slices.Equal(after, before) {
		t.Errorf("segments after a backup = %q, %v, want %q", after, err, before)
	}
}

// fillAndCommit produces records of 900 kB and commits all of them for the group.
func fillAndCommit(t *testing.T, addr string, topics kafka.TopicConfig, records int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range records {
		record := &kgo.Record{Topic: topics.OrdersTopic, Value: []byte(strings.Repeat("x", 900_000))}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = topics.Group, -1
	partition := kmsg.NewOffsetCommitRequestTopicPartition()
	partition.Offset = int64(records)
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.Partitions = topics.OrdersTopic, append(topic.Partitions, partition)
	commit.Topics = append(commit.Topics, topic)
	answer, err := commit.RequestWith(context.WithoutCancel(t.Context()), client)
	if err != nil || answer.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("commit: %+v, %v", answer, err)
	}
}

// A restored database is reported in every mode: the broker need not have all webhooks
// since the backup, and may not even be used any more.
func TestRestoredDatabaseIsReported(t *testing.T) {
	taken := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	position := sqlite.Position{Topic: "webhooks.orders", Offset: 7}
	lacks := position
	lacks.Missing, lacks.Since = 3, taken
	for name, c := range map[string]struct {
		mark sqlite.Mark
		want string
	}{
		"without a broker":                      {sqlite.Mark{TakenAt: taken}, "without positions of a broker"},
		"with a position":                       {sqlite.Mark{TakenAt: taken, Positions: []sqlite.Position{position}}, "mode kafka applies the records"},
		"with missing records":                  {sqlite.Mark{Positions: []sqlite.Position{lacks}}, "missing=3"},
		"with missing records, from no broker":  {sqlite.Mark{TakenAt: taken, Positions: []sqlite.Position{lacks}}, "without positions of a broker"},
		"with missing records and with a place": {sqlite.Mark{TakenAt: taken, Positions: []sqlite.Position{lacks, position}}, "mode kafka applies the records"},
	} {
		t.Run(name, func(t *testing.T) {
			url := "sqlite://" + filepath.Join(t.TempDir(), "payrelay.db")
			e, err := engineOf(url)
			if err != nil {
				t.Fatal(err)
			}
			db, err := e.open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var log strings.Builder
			p := newTestProcess(t)
			p.log = slog.New(slog.NewTextHandler(&log, nil))
			if err := new(apiRole).restored(t.Context(), p, db); err != nil || log.Len() > 0 {
				t.Fatalf("restored without a mark = %v, log %q", err, log.String())
			}
			if err := db.(restorable).SetMark(t.Context(), &c.mark); err != nil {
				t.Fatal(err)
			}
			p = newTestProcess(t)
			p.log = slog.New(slog.NewTextHandler(&log, nil))
			role := new(apiRole)
			if err := role.restored(t.Context(), p, db); err != nil || !strings.Contains(log.String(), "taken_at=2026-01-31T12:00:00") || !strings.Contains(log.String(), c.want) {
				t.Errorf("restored = %v, log %q, want a line with the time of the backup and %q", err, log.String(), c.want)
			}
			if got := role.stillMissing(t.Context()); got != c.mark.Missing() {
				t.Errorf("%d records are missing, want %d", got, c.mark.Missing())
			}
			if err := db.(restorable).SetMark(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if got := role.stillMissing(t.Context()); got != 0 {
				t.Errorf("%d records are missing after they were acknowledged", got)
			}
		})
	}
}

// A process can have a consumer of a Kafka cluster and one of the backlog of an embedded
// broker, with the same topics and group. Only the one of the backup is set back, also if
// the database lacks records already.
func TestOnlyTheClusterOfTheBackupIsSetBack(t *testing.T) {
	topics := kafka.TopicConfig{OrdersTopic: "webhooks.orders", DisputesTopic: "webhooks.disputes", Group: "payrelay"}
	var clusters []kafka.Config
	var ids []string
	for range 2 {
		b, err := broker.Open(broker.Config{Addr: "127.0.0.1:0", Keep: time.Hour, KeepBytes: 1 << 40}, t.TempDir(), topics.Names(), topics.Group, transporttest.Quiet())
		if err != nil {
			t.Fatal(err)
		}
		run := transporttest.Start(b.Run)
		t.Cleanup(func() { _ = run.Stop() })
		fillAndCommit(t, b.Addr(), topics, 5)
		cfg := kafka.Config{TopicConfig: topics, ClusterConfig: kafka.ClusterConfig{Brokers: []string{b.Addr()}}}
		id, err := kafka.ClusterID(t.Context(), cfg.ClusterConfig, topics)
		if err != nil {
			t.Fatal(err)
		}
		clusters, ids = append(clusters, cfg), append(ids, id)
	}
	if ids[0] == "" || ids[0] == ids[1] {
		t.Fatalf("the ids of the brokers are %q, want different ones", ids)
	}
	url := "sqlite://" + filepath.Join(t.TempDir(), "payrelay.db")
	e, err := engineOf(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := e.open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lost := sqlite.Position{Cluster: ids[0], Topic: "webhooks.orders", Missing: 1, Since: time.UnixMicro(1).UTC()}
	mark := &sqlite.Mark{TakenAt: time.UnixMicro(5).UTC(), Positions: []sqlite.Position{lost, {Cluster: ids[1], Topic: "webhooks.orders", Offset: 2}}}
	if err := db.(restorable).SetMark(t.Context(), mark); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	role, p := new(apiRole), newTestProcess(t)
	p.log = slog.New(slog.NewTextHandler(&log, nil))
	if err := role.restored(t.Context(), p, db); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		offsets [2]int64
		pending int
	}{{[2]int64{5, 5}, 1}, {[2]int64{5, 2}, 0}} {
		if err := role.setBack(t.Context(), p, clusters[i]); err != nil {
			t.Fatal(err)
		}
		for n, cfg := range clusters {
			offsets, err := kafka.GroupOffsets(t.Context(), cfg.ClusterConfig, topics)
			if o := (kafka.GroupOffset{Topic: "webhooks.orders", Offset: want.offsets[n]}); err != nil || !slices.Contains(offsets, o) {
				t.Errorf("after consumer %d, cluster %d has the offsets %+v, %v, want %+v", i, n, offsets, err, o)
			}
		}
		left, err := db.(restorable).Mark(t.Context())
		if err != nil || len(left.Pending()) != want.pending || left.Missing() != 1 {
			t.Errorf("after consumer %d, the mark is %+v, %v, want %d positions and the missing record", i, left, err, want.pending)
		}
		log.Reset()
		role.reportOthers(p)
		if strings.Contains(log.String(), "are not applied again") != (want.pending > 0) {
			t.Errorf("after consumer %d, the log is %q", i, log.String())
		}
	}
}
