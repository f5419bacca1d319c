package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/batch"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// seconds returns a time as the number of seconds of Unix time.
func seconds(t time.Time) float64 {
	return float64(t.UnixMilli()) / float64(time.Second/time.Millisecond)
}

// measureProcess adds the metrics that every process has: those of its build, its
// listeners, and the updates that wait in it.
func (p *process) measureProcess() {
	b := thisBuild()
	p.admin.AddGauges("payrelay_build_info", "The build of this process. The value is always 1.", []string{"version", "revision", "goversion"},
		func(show func(float64, ...string)) { show(1, b.version, b.revision, b.goVersion) })
	p.measureDoors()
	p.admin.AddGauges("payrelay_batch_waiting_updates", "Updates that are queued for the next batch of a stage.", []string{"stage"},
		func(show func(float64, ...string)) {
			for _, q := range p.watchedQueues() {
				updates, _ := q.batcher.Waiting()
				show(float64(updates), q.stage)
			}
		})
	p.admin.AddGauges("payrelay_batch_waiting_bytes", "Size of the updates that are queued for the next batch of a stage.", []string{"stage"},
		func(show func(float64, ...string)) {
			for _, q := range p.watchedQueues() {
				_, bytes := q.batcher.Waiting()
				show(float64(bytes), q.stage)
			}
		})
	p.measureConsumers()
	p.admin.AddGauge("payrelay_oldest_unapplied_update_seconds",
		"Time since the ingest role received the oldest update that this process holds and has not applied or passed on; 0 if there is none.", p.oldestUnapplied)
}

// measureDoors adds the metrics of the listeners.
func (p *process) measureDoors() {
	p.admin.AddGauges("payrelay_insecure", "A listener that other machines can reach lacks this protection. The value is always 1.",
		[]string{"listener", "what"}, func(show func(float64, ...string)) {
			for _, d := range p.openDoors() {
				for _, what := range d.Insecure() {
					show(1, d.Name(), what)
				}
			}
		})
	p.admin.AddGauges("payrelay_tls_certificate_expiry_timestamp_seconds", "Time at which the certificate of a listener expires.",
		[]string{"listener"}, func(show func(float64, ...string)) {
			for _, d := range p.openDoors() {
				if end, ok := d.CertificateEnd(); ok {
					show(seconds(end), d.Name())
				}
			}
		})
	p.admin.AddCounters("payrelay_refused_total", "Requests and connections that the policy of a listener refused.",
		[]string{"listener", "reason"}, func(show func(float64, ...string)) {
			for _, d := range p.openDoors() {
				d.Refused(func(reason string, count uint64) { show(float64(count), d.Name(), reason) })
			}
		})
}

// queue is a queue of updates, with the stage that its batches are for.
type queue struct {
	stage   string
	batcher *batch.Batcher
}

// watchQueue shows a queue in the metrics.
func (p *process) watchQueue(stage string, b *batch.Batcher) {
	p.watchOldest(b.Oldest)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queues = append(p.queues, queue{stage, b})
}

func (p *process) watchedQueues() []queue {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queues[:len(p.queues):len(p.queues)]
}

// watchOldest adds a function that returns the time at which the oldest update in a part was
// received, or zero.
func (p *process) watchOldest(oldest func() time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oldest = append(p.oldest, oldest)
}

func (p *process) oldestUnapplied() float64 {
	p.mu.Lock()
	parts := p.oldest[:len(p.oldest):len(p.oldest)]
	p.mu.Unlock()
	var age time.Duration
	for _, oldest := range parts {
		if received := oldest(); !received.IsZero() {
			age = max(age, time.Since(received))
		}
	}
	return age.Seconds()
}

// counts returns a function that counts an answered webhook.
func counts(webhooks *admin.Webhooks) func(context.Context, *ingest.Observation) {
	return func(ctx context.Context, seen *ingest.Observation) {
		result := seen.Verdict
		if seen.Refusal != "" {
			result = seen.Refusal
		}
		webhooks.Answered(ctx, admin.Webhook{
			Source: seen.Source, Result: result, Status: seen.Status, Verified: seen.Verified, Secret: seen.Secret, At: seen.Time, Latency: seen.Latency,
		})
	}
}

// sourcesOf returns a function that returns what the ingest role of this process knows about
// its sources.
func sourcesOf(server *ingest.Server, webhooks *admin.Webhooks) func() []*payrelayv1.Source {
	return func() (sources []*payrelayv1.Source) {
		server.Describe(func(name, provider, environment string, secretEnd time.Time) {
			counted := webhooks.Counts(name)
			source := &payrelayv1.Source{Name: name, Provider: provider, Environment: environment, Verified: &counted.Verified, Refused: counted.Refused}
			if !counted.LastSeen.IsZero() {
				source.LastSeenAt = timestamppb.New(counted.LastSeen)
			}
			if !secretEnd.IsZero() {
				source.SecretExpiresAt = timestamppb.New(secretEnd)
			}
			sources = append(sources, source)
		})
		return sources
	}
}

// ownSources returns what the ingest role of this process knows about its sources, or
// nothing before there is one.
func (p *process) ownSources() []*payrelayv1.Source {
	p.mu.Lock()
	sources := p.sources
	p.mu.Unlock()
	if sources == nil {
		return nil
	}
	return sources()
}

// serveSources serves what the ingest role of this process knows about its sources, in the
// form of GET /sources of the api listener.
func (p *process) serveSources(w http.ResponseWriter, _ *http.Request) {
	items := []any{}
	for _, source := range p.ownSources() {
		items = append(items, api.SourceJSON(source))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// A failed write means that the client has disconnected.
	_ = json.NewEncoder(w).Encode(map[string]any{"items": items, "has_more": false})
}

// measureSources adds the metrics of the configured sources.
func measureSources(to *admin.Server, server *ingest.Server) {
	to.AddGauges("payrelay_unsigned_source", "Sources whose webhooks are not verified. The value is always 1.", []string{"source"},
		func(show func(float64, ...string)) {
			for _, source := range server.Unsigned() {
				show(1, source)
			}
		})
	to.AddGauges("payrelay_secret_expiry_timestamp_seconds", "Time at which the use of a secret of a source ends. The secret is named by its position.", []string{"source", "secret"},
		func(show func(float64, ...string)) {
			server.SecretEnds(func(source string, secret int, end time.Time) {
				show(seconds(end), source, strconv.Itoa(secret+1))
			})
		})
}

// measureCircuit adds the metrics of the client of a mode.
func measureCircuit(to *admin.Server, circuit *transport.Circuit) {
	to.AddCounters("payrelay_call_retries_total", "Attempts to pass on a batch of updates that failed and were repeated.", nil,
		func(show func(float64, ...string)) { show(float64(circuit.Retries())) })
	to.AddGauge("payrelay_circuit_open", "Whether the circuit breaker lets no call through (1) or not (0).", func() float64 {
		if circuit.Check(context.Background()) != nil {
			return 1
		}
		return 0
	})
}

// errNotJoined is normal for a moment after a start and during a rebalance.
var errNotJoined = errors.New("the consumer is not a member of its group")

// watch starts a watch of a far side, and makes readiness depend on it. It checks the far
// side once before it returns.
func (p *process) watch(ctx context.Context, name, reason string, cfg transport.WatchConfig, ask func(context.Context) error) {
	w := transport.NewWatch(cfg, ask)
	w.Ask(ctx)
	p.start(ctx, "watch of "+name, w.Run)
	p.admin.AddCheck(name, reason, w.Check)
}

// watchKafka watches the brokers, once in a process.
func (p *process) watchKafka(ctx context.Context, cfg transport.WatchConfig, cluster kafka.Config) error {
	if p.watchesKafka {
		return nil
	}
	p.watchesKafka = true
	pinger, err := kafka.NewPinger(cluster)
	if err != nil {
		return err
	}
	p.closeLater(ctx, "watch of kafka", pinger.Close)
	p.watch(ctx, "kafka", "the Kafka brokers do not answer", cfg, pinger.Ping)
	return nil
}

// namedConsumer is a consumer of the process, which has one of mode kafka and one of the
// backlog of an embedded broker.
type namedConsumer struct {
	name string
	*kafka.Consumer
}

// measureConsumers adds the metrics of the consumers.
func (p *process) measureConsumers() {
	each := func(do func(namedConsumer)) {
		p.mu.Lock()
		all := p.consumers[:len(p.consumers):len(p.consumers)]
		p.mu.Unlock()
		for _, c := range all {
			do(c)
		}
	}
	label := []string{"consumer"}
	p.admin.AddGauges("payrelay_consumer_lag_records", "Records published to this process's partitions and not yet applied, NaN if unknown.", label,
		func(show func(float64, ...string)) {
			each(func(c namedConsumer) {
				lag := math.NaN()
				if records, known := c.Lag(); known {
					lag = float64(records)
				}
				show(lag, c.name)
			})
		})
	p.admin.AddGauges("payrelay_consumer_expired_records", "Records that retention deleted before this process could apply them, since its start.", label,
		func(show func(float64, ...string)) {
			each(func(c namedConsumer) { show(float64(c.Expired()), c.name) })
		})
	p.admin.AddGauges("payrelay_consumer_partition_lag_records", "Records published to one of this process's partitions and not yet applied, NaN if unknown.",
		[]string{"consumer", "topic", "partition"}, func(show func(float64, ...string)) {
			each(func(c namedConsumer) {
				c.PartitionLags(func(topic string, partition int32, records int64) {
					lag := float64(records)
					if records == kafka.UnknownOffset {
						lag = math.NaN()
					}
					show(lag, c.name, topic, strconv.Itoa(int(partition)))
				})
			})
		})
}

// watchConsumer shows a consumer in the metrics and the readiness.
func (p *process) watchConsumer(name string, consumer *kafka.Consumer) {
	p.admin.AddCheck(name, errNotJoined.Error(), func(context.Context) error {
		if !consumer.Ready() {
			return errNotJoined
		}
		return nil
	})
	p.watchOldest(consumer.Oldest)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.consumers = append(p.consumers, namedConsumer{name, consumer})
}

// watchDatabase adds the check and the gauges of the database.
func (p *process) watchDatabase(ctx context.Context, store database) {
	p.admin.AddCheck("database", "the database does not answer", store.Ping)
	p.start(ctx, "gauges of the database", p.admin.WatchDatabase(store, statsOf(store)))
}

// statsOf returns a function that reads the connections and sizes of a database.
func statsOf(db database) func(context.Context) (admin.StoreStats, error) {
	return func(ctx context.Context) (admin.StoreStats, error) {
		s, err := db.Stats(ctx)
		return admin.StoreStats{InUse: s.InUse, Idle: s.Idle, Max: s.Max, Bytes: s.SizeBytes, WALBytes: s.WALBytes}, err
	}
}
