package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/batch"
	"github.com/payrelay/payrelay/modules/door"
	"github.com/payrelay/payrelay/modules/logging"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/retention"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// apiConfig configures the api role.
type apiConfig struct {
	data      flags.Data
	retention retention.Config
	public    door.Config
	internal  door.Config
	api       api.Config
	wire      transport.Config
	watch     transport.WatchConfig
	kafka     kafka.Config
}

type serveAPIConfig struct {
	apiConfig
	process  processConfig
	proxies  door.Proxies
	admin    adminConfig
	token    flags.Token
	password flags.Password
}

func newServeAPI() *cobra.Command {
	var cfg serveAPIConfig
	command := &cobra.Command{
		Use:   "api",
		Short: "Run the api role, which applies updates to the database and answers queries",
		Args:  flags.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return cfg.serve(command.Context(), command.OutOrStdout())
		},
	}
	flags.Register(command, cfg.registrars()...)
	return command
}

// registrars returns what declares the flags.
func (cfg *serveAPIConfig) registrars() []flags.Registrar {
	return []flags.Registrar{
		&cfg.wire, flags.Listens(&cfg.public, door.API), flags.Listens(&cfg.internal, door.Internal), flags.WithDefault(&cfg.admin, "127.0.0.1:3003"),
		&cfg.data, &cfg.retention, &cfg.kafka, &cfg.token, &cfg.password, &cfg.proxies, &cfg.process,
	}
}

// prepare reads the secrets and validates the configuration.
func (cfg *serveAPIConfig) prepare() (err error) {
	if cfg.kafka.Password, err = cfg.password.Secret(); err != nil {
		return err
	}
	if err := checkSplit(cfg.wire, cfg.kafka); err != nil {
		return err
	}
	if cfg.api.InternalTokens, err = cfg.token.Tokens(); err != nil {
		return err
	}
	cfg.internal.HasToken = len(cfg.api.InternalTokens) > 0
	return validate(cfg.process, cfg.data, cfg.public, cfg.internal, cfg.admin, cfg.api)
}

func (cfg serveAPIConfig) serve(ctx context.Context, out io.Writer) error {
	if err := cfg.prepare(); err != nil {
		return err
	}
	build := func(ctx context.Context, p *process) error {
		p.proxies = cfg.proxies
		if err := p.addDataLocks(ctx, cfg.data, false); err != nil {
			return err
		}
		if err := p.addAdmin(ctx, cfg.admin); err != nil {
			return err
		}
		if cfg.wire.Mode == payments.Kafka {
			if err := p.awaitTopics(ctx, cfg.kafka); err != nil {
				return err
			}
		}
		role, err := cfg.add(ctx, p)
		if err == nil && cfg.wire.Mode == payments.Kafka {
			role.reportOthers(p)
		}
		return err
	}
	return runProcess(ctx, cfg.process, gcPercent, build, func(p *process) {
		p.introduce(out, fmt.Sprintf("payrelay api is ready: mode %s, database %s", cfg.wire.Mode, cfg.data.Shown()))
	})
}

// apiRole is the api role as the other parts of the same process use it.
type apiRole struct {
	ledger  *payments.Ledger
	grouped payments.Applier // the ledger behind group commit
	relay   *api.Relay       // takes the calls of the ingest role

	// mark is in a database that was restored from a backup, and missing is the number
	// of records that it lacks.
	mark    *sqlite.Mark
	marked  restorable
	missing atomic.Int64
}

// add adds the api role to a process: database, group commit, the internal and
// the public listener and, in mode kafka, the consumer.
func (cfg apiConfig) add(ctx context.Context, p *process) (*apiRole, error) {
	engine, err := engineOf(cfg.data.URL())
	if err != nil {
		return nil, err
	}
	store, err := engine.open(ctx, cfg.data.URL())
	if err != nil {
		return nil, err
	}
	p.closeLater(ctx, "database", store.Close)
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	p.start(ctx, "retention", retention.NewRunner(store, cfg.retention, p.log).Run)
	p.watchDatabase(ctx, store)
	role := &apiRole{ledger: payments.NewLedger(p.tracer.Store(engine.system, p.admin.MeasureStore(store)))}
	if err := role.restored(ctx, p, store); err != nil {
		return nil, err
	}
	role.ledger.OnPanic(func(panicked payments.Panic) {
		p.log.Error("judging updates panicked, which is a defect of this release: the update is a dead letter that a later release can replay",
			"provider", panicked.Key.Source, "event_id", panicked.Key.EventID, "error", panicked.Text, "stack", string(panicked.Stack))
	})
	count := p.admin.Ledger()
	role.ledger.OnCommit(func(changes *payments.Changes) {
		count(changes)
		logging.DeadLetters(p.log, changes)
	})
	batcher := batch.New(role.applier(p, "ledger"), applyBatch(engine))
	p.closeLater(ctx, "group commit", func() error { batcher.Close(); return nil })
	p.watchQueue("ledger", batcher)
	role.grouped = batcher

	role.relay = api.NewRelay(p.admin.Instrument("api", batcher), p.log)
	if err := p.addInternal(ctx, cfg.internal, cfg.api.InternalTokens, role.relay); err != nil {
		return nil, err
	}
	if err := p.addPublic(ctx, cfg.public, store, role.ledger); err != nil {
		return nil, err
	}
	if cfg.wire.Mode != payments.Kafka {
		return role, nil
	}
	cfg.kafka.Unary = !cfg.wire.Batch
	if cfg.kafka.InstanceID == "" && engine.file != nil {
		cfg.kafka.InstanceID = onlyInstance
	}
	if err := p.watchKafka(ctx, cfg.watch, cfg.kafka); err != nil {
		return nil, err
	}
	return role, role.addConsumer(ctx, p, "consumer", cfg.kafka)
}

// applier returns the ledger, which applies each batch as it comes, with the traces, metrics
// and log lines of a stage.
func (r *apiRole) applier(p *process, stage string) payments.Applier {
	return p.tracer.Ledger(p.admin.Instrument(stage, p.admin.Age(logging.Batches(p.log, stage, r.ledger))))
}

// addInternal adds a listener for the ingest role.
func (p *process) addInternal(ctx context.Context, cfg door.Config, tokens []string, relay *api.Relay) error {
	entrance, err := p.openDoor(ctx, cfg, door.Options{})
	if err != nil {
		return err
	}
	interceptors, err := p.tracer.Interceptors()
	if err != nil {
		return err
	}
	server, err := api.NewInternal(api.Config{InternalTokens: tokens, Wrap: entrance.Wrap, Unauthenticated: entrance.Unauthenticated, Interceptors: interceptors}, entrance.Listener(), relay, entrance.Log())
	if err != nil {
		return err
	}
	p.start(ctx, "internal listener", server.Run)
	p.listens(cfg.Kind.Name, entrance.URL(), "RelayService (Connect, gRPC), /internal/updates/orders, /internal/updates/disputes, /internal/updates/notes")
	return nil
}

// addPublic adds the public listener.
func (p *process) addPublic(ctx context.Context, cfg door.Config, store database, ledger *payments.Ledger) error {
	entrance, err := p.openDoor(ctx, cfg, door.Options{Needs: apiNeeds, Refuse: api.RefuseCall})
	if err != nil {
		return err
	}
	operator := api.NewOperator(api.OperatorConfig{Store: store, Ledger: ledger, Sources: p.ownSources, Caller: door.TokenName, Log: p.log})
	p.start(ctx, "api listener", api.NewPublic(api.Config{Wrap: entrance.Wrap}, entrance.Listener(), api.NewQuery(store, p.log), operator, entrance.Log()).Run)
	p.listens("api", entrance.URL(), "QueryService, OperatorService (Connect, gRPC), /orders /orders/events /disputes /disputes/events /deadletters /sources /audit /openapi.json")
	return nil
}

// applyBatch configures group commit at the api role. The queue is bounded:
// an update that waits longer than its caller does is wasted work.
func applyBatch(e engine) batch.Config {
	return batch.Config{
		Shards:          e.shards,
		MaxBatch:        512,
		MaxWaitingBytes: 64 << 20,
		Timeout:         30 * time.Second,
	}
}

// onlyInstance is the static member of the only api process that a database in a
// file, or an embedded broker, can have. With it, the process gets its partitions
// back at once after a restart.
const onlyInstance = "payrelay-api"

// misconfiguredAfter is how long a database may refuse this process before the
// process ends. The refusal may be temporary: a right can be granted at any time,
// and after a change of the password, the open connections still work.
const misconfiguredAfter = 30 * time.Second

// addConsumer adds the consumer of mode kafka. A process can have two, each with
// its own name. The batches of a partition need no group commit, so they go
// straight to the ledger.
func (r *apiRole) addConsumer(ctx context.Context, p *process, name string, cfg kafka.Config) error {
	cfg.Fatal, cfg.FatalAfter = func(err error) bool { return errors.Is(err, payments.ErrMisconfigured) }, misconfiguredAfter
	if err := r.setBack(ctx, p, cfg); err != nil {
		return err
	}
	consumer, err := kafka.NewConsumer(cfg, r.applier(p, name), r.ledger, p.log)
	if err != nil {
		return err
	}
	p.watchConsumer(name, consumer)
	p.start(ctx, name, consumer.Run)
	return nil
}
