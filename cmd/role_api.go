package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
)

// apiConfig is what the role that owns the data needs to know.
type apiConfig struct {
	data  dataConfig
	api   api.Config
	wire  transport.Config
	kafka transport.KafkaConfig
}

// applyBatch is group commit at the api role. SQLite has one writer, so it has
// one shard. The queue is bounded, for what waits longer than the callers do is
// work for nobody.
var applyBatch = payments.BatcherConfig{
	Shards:     1,
	MaxBatch:   512,
	MaxWaiting: 8192,
	Timeout:    30 * time.Second,
}

// addAPI adds the role that owns the data: store, group commit, the internal
// and the public listener and, in kafka mode, the consumer. It returns the
// Applier that group commit is.
func (p *process) addAPI(ctx context.Context, cfg apiConfig) (payments.Applier, error) {
	store, err := p.addDatabase(ctx, cfg.data)
	if err != nil {
		return nil, err
	}
	ledger := payments.NewLedger(store)
	counted := p.admin.Instrument("ledger", ledger)
	batcher := payments.NewBatcher(counted, applyBatch)
	p.addClosing("group commit", func() error { batcher.Close(); return nil })
	if err := p.addListeners(cfg, batcher, store); err != nil {
		return nil, err
	}
	if cfg.wire.Mode == transport.Kafka {
		// A partition's batch is one already: it goes straight to the ledger.
		return batcher, p.addConsumer(ctx, cfg.kafka, counted, ledger)
	}
	return batcher, nil
}

// addDatabase takes the data directory, opens the database in it and brings its
// schema up to date.
func (p *process) addDatabase(ctx context.Context, cfg dataConfig) (database, error) {
	unlock, err := lockDir(cfg.dir)
	if err != nil {
		return nil, err
	}
	p.addClosing("data directory", unlock)
	store, err := openDatabase(ctx, cfg.url())
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, fmt.Errorf("migrate the database: %w", err)
	}
	p.admin.AddCheck("database", store.Ping)
	p.addClosing("database", store.Close)
	return store, nil
}

func (p *process) addListeners(cfg apiConfig, next payments.Applier, store database) error {
	relay := api.NewRelay(p.admin.Instrument("api", next), payments.Validate, p.log)
	internal, err := api.NewInternal(cfg.api, relay, p.log)
	if err != nil {
		return err
	}
	p.add("internal listener", internal.Run)
	p.listens("internal", "http://"+internal.Addr(), "RelayService (Connect, gRPC), /internal/updates/orders, /internal/updates/disputes")
	public, err := api.NewPublic(cfg.api, store, p.log)
	if err != nil {
		return err
	}
	p.add("api listener", public.Run)
	p.listens("api", "http://"+public.Addr(), "/orders /orders/events /disputes /disputes/events")
	return nil
}

// onlyInstance names the one api process that a SQLite database can have, so
// that after a restart it gets its partitions back at once.
const onlyInstance = "payrelay-api"

// errNotJoined is normal for a moment after a start and during a rebalance.
var errNotJoined = errors.New("the consumer is not a member of its group")

func (p *process) addConsumer(ctx context.Context, cfg transport.KafkaConfig, next payments.Applier, ledger *payments.Ledger) error {
	if err := p.awaitTopics(ctx, cfg); err != nil {
		return err
	}
	if cfg.InstanceID == "" {
		cfg.InstanceID = onlyInstance
	}
	consumer, err := transport.NewConsumer(cfg, p.admin.Instrument("consumer", next), ledger, p.log)
	if err != nil {
		return err
	}
	p.admin.AddCheck("consumer", func(context.Context) error {
		if !consumer.Ready() {
			return errNotJoined
		}
		return nil
	})
	p.add("consumer", consumer.Run)
	return nil
}
