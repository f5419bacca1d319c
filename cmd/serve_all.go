package cmd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/door"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/retention"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// allConfig configures every role. What two roles share is there once.
type allConfig struct {
	process   processConfig
	proxies   door.Proxies
	admin     adminConfig
	data      flags.Data
	retention retention.Config
	public    door.Config
	internal  door.Config
	api       api.Config
	door      door.Config
	ingest    ingest.Config
	wire      transport.Config
	retry     transport.RetryConfig
	watch     transport.WatchConfig
	kafka     kafka.Config
	broker    broker.Config
	token     flags.Token
	password  flags.Password
}

func newServeAll() *cobra.Command {
	var cfg allConfig
	command := &cobra.Command{
		Use:   "all",
		Short: "Run all roles in one process, by default with an embedded broker and SQLite",
		Args:  flags.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return cfg.serve(command.Context(), command.OutOrStdout())
		},
	}
	flags.Register(command, cfg.registrars()...)
	return command
}

// registrars returns what declares the flags.
func (cfg *allConfig) registrars() []flags.Registrar {
	return []flags.Registrar{
		&cfg.wire, flags.Listens(&cfg.door, door.Ingest), &cfg.ingest, flags.Listens(&cfg.public, door.API), flags.Listens(&cfg.internal, door.Internal),
		flags.WithDefault(&cfg.admin, "127.0.0.1:3003"), &cfg.data, &cfg.retention, &cfg.retry, &cfg.watch, &cfg.kafka,
		flags.WithDefault(&cfg.broker, "127.0.0.1:0"), &cfg.token, &cfg.password, &cfg.proxies, &cfg.process,
	}
}

// prepare reads the secrets and validates the configuration.
func (cfg *allConfig) prepare() (err error) {
	if cfg.api.InternalTokens, err = cfg.token.Tokens(); err != nil {
		return err
	}
	cfg.internal.HasToken = len(cfg.api.InternalTokens) > 0
	if err := validate(cfg.process, cfg.data, cfg.door, cfg.public, cfg.internal, cfg.admin, cfg.ingest, cfg.retry, cfg.watch, cfg.api); err != nil {
		return err
	}
	if cfg.kafka.Password, err = cfg.password.Secret(); err != nil {
		return err
	}
	return cfg.checkKafka()
}

func (cfg allConfig) serve(ctx context.Context, out io.Writer) error {
	if err := cfg.prepare(); err != nil {
		return err
	}
	return runProcess(ctx, cfg.process, gcPercent, cfg.build, func(p *process) {
		p.introduce(out, fmt.Sprintf("payrelay is ready: every role in one process, mode %s, database %s", cfg.wire.Mode, cfg.data.Shown()))
		if cfg.ingest.SourcesFile == "" {
			fmt.Fprintf(out, suggestion, p.url("ingest"), p.url("api"))
		}
	})
}

// embedded reports whether the process uses its own broker.
func (cfg allConfig) embedded() bool {
	return cfg.wire.Mode == payments.Kafka && len(cfg.kafka.Brokers) == 0
}

var (
	errOneCopy        = errors.New("kafka-min-copies (KAFKA_MIN_COPIES) is more than 1, but the embedded broker keeps one copy: name a Kafka cluster with --kafka-brokers")
	errEmbeddedIsOpen = errors.New("the settings whose names begin with kafka-tls, kafka-sasl, kafka-oauth or kafka-aws (KAFKA_TLS, KAFKA_SASL) are for a Kafka cluster, but the embedded broker is on loopback without either: name the cluster with --kafka-brokers (KAFKA_BROKERS), or leave them out")
)

// checkKafka refuses Kafka settings that cannot work.
func (cfg allConfig) checkKafka() error {
	switch {
	case cfg.embedded() && cfg.kafka.MinCopies > 1:
		return errOneCopy
	case cfg.embedded() && (cfg.kafka.TLSConfig != kafka.TLSConfig{} || cfg.kafka.SASLConfig != kafka.SASLConfig{}):
		return errEmbeddedIsOpen
	case cfg.embedded():
		return validate(cfg.kafka.TopicConfig, cfg.kafka.CopiesConfig)
	case cfg.wire.Mode == payments.Kafka:
		return cfg.kafka.Validate()
	default:
		return nil
	}
}

func (cfg allConfig) build(ctx context.Context, p *process) error {
	p.proxies = cfg.proxies
	embedded := cfg.embedded()
	// Webhooks in the log of the embedded broker were answered 2xx by an earlier
	// process, which ran in mode kafka: they are applied in every mode.
	backlog := !embedded && exists(cfg.data.BrokerDir())
	if err := p.addDataLocks(ctx, cfg.data, embedded || backlog); err != nil {
		return err
	}
	if err := p.addAdmin(ctx, cfg.admin); err != nil {
		return err
	}
	var err error
	switch {
	case embedded:
		cfg.kafka.ClusterConfig, err = p.addBroker(ctx, cfg.broker, cfg.data.Dir, cfg.kafka.TopicConfig)
	case cfg.wire.Mode == payments.Kafka:
		err = p.awaitTopics(ctx, cfg.kafka)
	}
	if err != nil {
		return err
	}
	role, err := apiConfig{cfg.data, cfg.retention, cfg.public, cfg.internal, cfg.api, cfg.wire, cfg.watch, cfg.kafka}.add(ctx, p)
	if err != nil {
		return err
	}
	if backlog {
		p.log.Info("applying the backlog of the embedded broker too", "dir", cfg.data.BrokerDir())
		backlogged := cfg.kafka
		backlogged.InstanceID = onlyInstance
		if backlogged.ClusterConfig, err = p.addBroker(ctx, cfg.broker, cfg.data.Dir, cfg.kafka.TopicConfig); err != nil {
			return err
		}
		if err := role.addConsumer(ctx, p, "backlog", backlogged); err != nil {
			return err
		}
	}
	if backlog || cfg.wire.Mode == payments.Kafka {
		role.reportOthers(p)
	}
	rpc, err := cfg.ownCalls(ctx, p, role)
	if err != nil {
		return err
	}
	return ingestConfig{cfg.door, cfg.ingest, cfg.wire, cfg.retry, cfg.watch, rpc, cfg.kafka}.add(ctx, p, role.grouped)
}

// ownCalls returns how the ingest role of this process calls its api role. If the
// internal listener has TLS or an address of the network, they have a listener of
// their own: the certificate need not name this machine, and the process would need a
// certificate of a client to call itself.
func (cfg allConfig) ownCalls(ctx context.Context, p *process, role *apiRole) (transport.RPCConfig, error) {
	url := p.url("internal")
	if !cfg.wire.Mode.RPC() || strings.HasPrefix(url, "http://127.") {
		return transport.RPCConfig{URL: url, Token: flags.First(cfg.api.InternalTokens)}, nil
	}
	own := door.Config{Kind: door.Internal, Addr: "127.0.0.1:0", MaxConnections: door.Internal.Connections}
	own.Kind.Name = "own calls"
	token := rand.Text() + rand.Text()
	if err := p.addInternal(ctx, own, []string{token}, role.relay); err != nil {
		return transport.RPCConfig{}, err
	}
	return transport.RPCConfig{URL: p.url(own.Kind.Name), Token: token}, nil
}

// suggestion sends a webhook and reads its order. The verbs are the URLs of the
// ingest and the api listener.
const suggestion = `Try it:

  curl -i %s/webhooks/payments/orders -H 'Content-Type: application/json' -d '{
    "provider_event_id": "evt-1", "order_id": "order-1", "user_id": "user-1", "status": "created",
    "created_at": "2026-01-04T10:00:00Z", "updated_at": "2026-01-04T10:00:00Z",
    "meta": {"amount": "100.50", "currency": "USD"}}'

  curl %s/orders/order-1

`
