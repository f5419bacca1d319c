// Package broker is an embedded single-node log that implements enough of the Kafka
// protocol for development and installations on one machine.
//
// It is not a Kafka cluster. It has one disk and one process, and no replication,
// transactions or authentication. It listens on loopback only, where any program on
// the machine can read and write the log. An acknowledged record survives the death
// of the process. It survives a power failure only with Config.SyncWrites, and only
// if the operating system honors a flush; a flush that fails goes unnoticed. After a
// crash a producer's retry may be stored twice, so consumers must tolerate
// duplicates.
//
// The log itself is kfake of franz-go, a broker for tests that can persist its data.
// This package adds what is needed to rely on it:
//
//   - topics that exist from the start
//   - a guard in front of kfake's parser, which a malformed request can crash
//   - trimming, because kfake reads the whole log when it starts
//   - checks at the start for a log that is damaged or has lost its tail
package broker

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Broker is a running broker. Make one with Open.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	gate    *gate
	topics  []string
	group   string // the consumer group that applies the records
	dir     string
	keep    retention
	log     *slog.Logger
}

// Open starts a broker on the log in dir, which it creates if needed, and creates
// missing topics, each with one partition. When Open returns, the broker serves
// clients. The caller must call Run, which also closes the broker.
//
// If a crash has truncated the log, Open serves the remaining records, and the groups
// that had consumed lost ones start from the beginning. If damaged records are
// followed by valid ones, Open returns an error and does not change the files.
//
// group is the consumer group that applies the records. Records of a topic are
// deleted only when this group has committed an offset for the topic, and only those
// that every group has consumed, after Config.Keep. With the wrong name the log grows without bound.
//
// The caller must hold an exclusive lock on dir while the broker runs: two brokers on
// one directory both acknowledge records, and half of them are lost.
func Open(cfg Config, dir string, topics []string, group string, log *slog.Logger) (*Broker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the broker's directory: %w", err)
	}
	if err := checkLog(dir); err != nil {
		return nil, err
	}
	b := &Broker{topics: topics, group: group, dir: dir, keep: retention{cfg.Keep, cfg.KeepBytes}, log: log}
	cluster, err := kfake.NewCluster(b.options(cfg, dir)...)
	if err != nil {
		return nil, fmt.Errorf("opening the broker's log in %s: %w", dir, err)
	}
	b.cluster = cluster
	if err := b.createTopics(); err != nil {
		cluster.Close()
		return nil, err
	}
	if err := b.rewind(); err != nil {
		cluster.Close()
		return nil, err
	}
	b.gate.open()
	// Reading the whole log took memory that is not needed again.
	debug.FreeOSMemory()
	return b, nil
}

// Addr returns the host:port that clients connect to.
func (b *Broker) Addr() string { return b.addr }

// Run trims the log at intervals until ctx ends and then closes the broker. When it
// returns, the state is on disk and the directory may be opened again. It always
// returns nil.
func (b *Broker) Run(ctx context.Context) error {
	defer b.cluster.Close()
	ticker := time.NewTicker(trimInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if err := b.trim(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn("the broker could not trim its log and will try again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	return nil
}

func (b *Broker) options(cfg Config, dir string) []kfake.Opt {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("payrelay-" + rand.Text()), // only of a new log, which keeps it
		kfake.DataDir(dir),
		kfake.WithLogger(logger{b.log}),
		kfake.MaxVersions(advertised()),
		kfake.BrokerConfigs(settings),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			ln, err := net.Listen(network, cfg.Addr)
			if err != nil {
				return nil, err
			}
			b.addr = ln.Addr().String()
			b.gate = newGate(ln)
			return newGuard(b.gate, produceLimit(len(b.topics)), b.log), nil
		}),
	}
	if cfg.SyncWrites {
		opts = append(opts, kfake.SyncWrites())
	}
	return opts
}

// settings override the stored ones at every start.
//
// Nothing expires by age or size. A payment that has not been consumed must be kept,
// however old it is, and a log whose last record expires forgets its offsets (see
// trim). If no consumer comes until the disk is full, producers get errors. Only trim
// deletes records.
var settings = map[string]string{
	"log.retention.ms":    "-1",
	"log.retention.bytes": "-1",
	// The log is deleted in whole segments, and a start reads the remaining ones.
	"log.segment.bytes": "16777216",
	// This must be longer than any outage of the group that applies the records: if
	// its offsets expire, it applies all stored records again. The offsets of a group
	// that no longer exists prevent trimming for as long.
	"offsets.retention.minutes": "43200", // 30 days
}

// topicSettings are settings of each topic. Without them, kfake answers a client that
// asks for a topic's settings with its own defaults.
var topicSettings = map[string]string{"retention.ms": "-1"}

// createTopics creates missing topics with the one call that persists them at once. A
// topic that a client's request creates is lost in a crash, with its records, and
// kfake's option for initial topics works only on an empty directory.
func (b *Broker) createTopics() error {
	for _, topic := range b.topics {
		if b.cluster.TopicInfo(topic) != nil {
			continue
		}
		// One partition, because a request flushes each partition separately.
		if err := b.cluster.CreateTopic(topic, 1, topicSettings); err != nil {
			return fmt.Errorf("creating topic %q: %w", topic, err)
		}
	}
	return nil
}

// logger hands kfake's messages to slog, those of level info as debug messages.
type logger struct{ *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		to = slog.LevelError
	case kfake.LogLevelWarn:
		to = slog.LevelWarn
	}
	if ctx := context.Background(); l.Enabled(ctx, to) {
		l.Log(ctx, to, "broker: "+fmt.Sprintf(format, args...))
	}
}
