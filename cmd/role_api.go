package cmd

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/batch"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// apiConfig is what the role that owns the data needs to know.
type apiConfig struct {
	data  dataConfig
	api   api.Config
	wire  transport.Config
	kafka kafka.Config
}

// applyBatch is group commit at the api role. The queue is bounded, for what
// waits longer than the callers do is work for nobody.
func applyBatch(e engine) batch.Config {
	return batch.Config{
		Shards:          e.shards,
		MaxBatch:        512,
		MaxWaitingBytes: 64 << 20,
		Timeout:         30 * time.Second,
	}
}

// apiRole is what others connect to when all roles are one process.
type apiRole struct {
	// ledger records without grouping, grouped with group commit.
	ledger  *payments.Ledger
	grouped payments.Applier
}

// addAPI adds the role that owns the data: store, group commit, the internal
// and the public listener and, in kafka mode, the consumer.
func (p *process) addAPI(ctx context.Context, cfg apiConfig) (*apiRole, error) {
	engine, err := engineOf(cfg.data.url())
	if err != nil {
		return nil, err
	}
	store, err := p.addDatabase(ctx, engine, cfg.data.url())
	if err != nil {
		return nil, err
	}
	ledger := payments.NewLedger(store)
	batcher := batch.New(p.admin.Instrument("ledger", p.admin.Age(ledger)), applyBatch(engine))
	p.closeLater(ctx, "group commit", func() error { batcher.Close(); return nil })
	if err := p.addListeners(ctx, cfg.api, batcher, store); err != nil {
		return nil, err
	}
	role := &apiRole{ledger: ledger, grouped: batcher}
	if cfg.wire.Mode == payments.Kafka {
		cfg.kafka.Unary = !cfg.wire.Batch
		if cfg.kafka.InstanceID == "" && engine.file != nil {
			cfg.kafka.InstanceID = onlyInstance
		}
		return role, p.addConsumer(ctx, "consumer", cfg.kafka, role)
	}
	return role, nil
}

// addDatabase opens the database and brings its schema up to date.
func (p *process) addDatabase(ctx context.Context, engine engine, url string) (database, error) {
	store, err := engine.open(ctx, url)
	if err != nil {
		return nil, err
	}
	p.closeLater(ctx, "database", store.Close)
	p.admin.AddCheck("database", store.Ping)
	return store, store.Migrate(ctx)
}

func (p *process) addListeners(ctx context.Context, cfg api.Config, next payments.Applier, store database) error {
	relay := api.NewRelay(p.admin.Instrument("api", next), p.log)
	internal, err := api.NewInternal(cfg, relay, p.log)
	if err != nil {
		return err
	}
	p.crew.start(ctx, "internal listener", internal.Run)
	p.listens("internal", "http://"+internal.Addr(), "RelayService (Connect, gRPC), /internal/updates/orders, /internal/updates/disputes")
	public, err := api.NewPublic(cfg, store, p.log)
	if err != nil {
		return err
	}
	p.crew.start(ctx, "api listener", public.Run)
	p.listens("api", "http://"+public.Addr(), "/orders /orders/events /disputes /disputes/events")
	return nil
}

// onlyInstance names the one api process that a database in a file, or an
// embedded broker, can have: after a restart it gets its partitions back at once.
const onlyInstance = "payrelay-api"

// misconfiguredAfter is how long a database may refuse this process before the
// process ends: a right may be granted at any moment, and where only new connections
// are refused, for a password that has changed, one that is there will do.
const misconfiguredAfter = 30 * time.Second

// errNotJoined is normal for a moment after a start and during a rebalance.
var errNotJoined = errors.New("the consumer is not a member of its group")

// addConsumer adds the far side of mode kafka under a name of its own, since a
// process can have two. A partition's batch is one already, so it goes straight
// to the ledger.
func (p *process) addConsumer(ctx context.Context, name string, cfg kafka.Config, role *apiRole) error {
	cfg.Fatal, cfg.FatalAfter = func(err error) bool { return errors.Is(err, payments.ErrMisconfigured) }, misconfiguredAfter
	consumer, err := kafka.NewConsumer(cfg, p.admin.Instrument(name, p.admin.Age(role.ledger)), role.ledger, p.log)
	if err != nil {
		return err
	}
	p.admin.AddCheck(name, func(context.Context) error {
		if !consumer.Ready() {
			return errNotJoined
		}
		return nil
	})
	p.admin.AddGauge("payrelay_"+name+"_lag_records", "Records published to this process's partitions and not yet applied, NaN if not known.",
		func() float64 {
			if records, known := consumer.Lag(); known {
				return float64(records)
			}
			return math.NaN()
		})
	p.admin.AddGauge("payrelay_"+name+"_expired_records", "Records that retention deleted before this process could apply them, since its start.",
		func() float64 { return float64(consumer.Expired()) })
	p.admin.AddGauges("payrelay_"+name+"_partition_lag_records", "Records published to one of this process's partitions and not yet applied.",
		[]string{"topic", "partition"}, func(show func(float64, ...string)) {
			consumer.PartitionLags(func(topic string, partition int32, records int64) {
				value := float64(records)
				if records == kafka.UnknownOffset {
					value = math.NaN()
				}
				show(value, topic, strconv.Itoa(int(partition)))
			})
		})
	p.crew.start(ctx, name, consumer.Run)
	return nil
}
