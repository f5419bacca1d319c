// Package broker is a single-node embedded log that speaks enough of the Kafka
// protocol for development and one-machine installs.
//
// It is not a Kafka cluster: one disk, one process, no replication, no
// transactions, and no authentication: it listens on loopback only, and whoever
// can run a program on the machine can read and write the log. A record that it has
// acknowledged survives the death of the process. It survives a power failure
// as far as the operating system honours a flush, and only with
// Config.SyncWrites; a flush that fails is not noticed. After a crash a
// producer's retry may be stored twice, so consumers must tolerate duplicates.
//
// The log itself is kfake of franz-go, a broker made for tests that learned to
// persist. This package adds what it takes to rely on it: topics that are
// certain to exist, a guard in front of its parser, which a malformed request
// could crash, a bound on the log, all of which a start reads, and checks at the
// start for a log that is damaged or has lost its tail.
package broker

import (
	"context"
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
	group   string // applies the records; see trim
	log     *slog.Logger
}

// Open starts a broker on the log kept in dir, which it creates if needed, and
// makes sure that the topics exist, each with one partition. Clients are served
// from here on; Run owns the rest of the broker's life and must be called.
//
// A log that a crash has cut short is served without the records that are lost,
// and groups that had consumed those start over. A log with damage in front of
// sound records is an error, and its files stay as they are.
//
// group is the consumer group that applies the records. Only once it has
// committed for a topic are records of that topic deleted: those that it and
// every other group have consumed. With the wrong name the log grows for ever.
//
// The caller must hold an exclusive lock that covers dir for as long as the
// broker lives: two brokers on one directory both acknowledge, and half of the
// records are lost.
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
	b := &Broker{topics: topics, group: group, log: log}
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
	// Opening has read the whole log; that memory is not needed again.
	debug.FreeOSMemory()
	return b, nil
}

// Addr returns the host:port that clients connect to.
func (b *Broker) Addr() string { return b.addr }

// Run keeps the log bounded until ctx ends, then closes the broker, after
// which the state is on disk and the directory may be opened again. With a ctx
// that has ended already it only closes. It returns nil.
func (b *Broker) Run(ctx context.Context) error {
	defer b.cluster.Close()
	ticker := time.NewTicker(trimInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if err := b.trim(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn("the broker could not trim its log and tries again later", "error", err)
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
		kfake.ClusterID("payrelay"),
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

// settings are given anew on every start and then override the stored ones.
//
// Nothing expires by age or size. A payment that nobody has consumed must stay,
// however old, and a log that expires to its last record forgets its offsets
// (see trim). If consumers stay away until the disk is full, producers get
// errors, which is the honest answer. Only trim deletes.
var settings = map[string]string{
	"log.retention.ms":    "-1",
	"log.retention.bytes": "-1",
	// The log is deleted by whole segments, and a start reads what is left.
	"log.segment.bytes": "16777216",
	// Trimming waits for committed offsets. Those of the group that applies the
	// records outlive a long outage, or it would apply the kept ones anew; any
	// other group that is gone for good holds the log no longer than this.
	"offsets.retention.minutes": "43200", // 30 days
}

// topicSettings repeats what counts of settings for each topic, for a client that
// asks is told of the topic's own settings and else of kfake's defaults.
var topicSettings = map[string]string{"retention.ms": "-1"}

// createTopics adds what is missing. It goes through the one call that is
// certain to persist: a topic that a client's request creates is gone, with
// its records, after a crash, and seeding works on an empty directory only.
func (b *Broker) createTopics() error {
	for _, topic := range b.topics {
		if b.cluster.TopicInfo(topic) != nil {
			continue
		}
		// One partition, for each costs a flush of its own per request.
		if err := b.cluster.CreateTopic(topic, 1, topicSettings); err != nil {
			return fmt.Errorf("creating topic %q: %w", topic, err)
		}
	}
	return nil
}

// logger hands kfake's messages to slog. Its info level is chatter.
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
