package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// allConfig is every role's configuration, with one place for what they share.
type allConfig struct {
	log      logConfig
	admin    admin.Config
	data     dataConfig
	api      api.Config
	ingest   ingest.Config
	wire     transport.Config
	retry    transport.RetryConfig
	kafka    kafka.Config
	broker   broker.Config
	token    tokenConfig
	password passwordConfig
}

func newServeAll() *cobra.Command {
	var cfg allConfig
	command := &cobra.Command{
		Use:   "all",
		Short: "Run every role in one process, with an embedded broker and SQLite unless told otherwise",
		Args:  noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return serveAll(command.Context(), cfg, command.OutOrStdout())
		},
	}
	register(command, &cfg.wire, &cfg.ingest, &cfg.api, withDefault{&cfg.admin, "127.0.0.1:3003"}, &cfg.data,
		&cfg.retry, &cfg.kafka, withDefault{&cfg.broker, "127.0.0.1:0"}, &cfg.token, &cfg.password, &cfg.log)
	return command
}

// errOneCopy is for who wants what only a cluster has.
var errOneCopy = errors.New("kafka-min-copies (KAFKA_MIN_COPIES) is more than 1, and the embedded broker keeps one copy: name a Kafka cluster with --kafka-brokers")

// errEmbeddedIsOpen is for settings that meant another Kafka.
var errEmbeddedIsOpen = errors.New("the settings whose names begin with kafka-tls or kafka-sasl (KAFKA_TLS, KAFKA_SASL) are for a Kafka cluster, and the embedded broker is on loopback without either: name the cluster with --kafka-brokers (KAFKA_BROKERS), or leave them out")

func serveAll(ctx context.Context, cfg allConfig, out io.Writer) error {
	var err error
	if cfg.api.InternalToken, err = cfg.token.token(); err != nil {
		return err
	}
	if err := validate(cfg.data, cfg.ingest, cfg.retry, cfg.api); err != nil {
		return err
	}
	if cfg.kafka.Password, err = cfg.password.password(); err != nil {
		return err
	}
	if err := cfg.checkKafka(); err != nil {
		return err
	}
	return runProcess(ctx, cfg.log, garbagePercent, cfg.build, func(p *process) {
		p.introduce(out, fmt.Sprintf("payrelay is ready: every role in one process, mode %s, database %s", cfg.wire.Mode, cfg.data.shown()))
		p.suggest(out)
	})
}

// embedded says that the process is its own Kafka.
func (cfg allConfig) embedded() bool {
	return cfg.wire.Mode == payments.Kafka && len(cfg.kafka.Brokers) == 0
}

// checkKafka refuses a Kafka that cannot be what it is configured to be.
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
	embedded := cfg.embedded()
	backlog := !embedded && exists(cfg.data.brokerDir())
	if err := p.addDataLocks(ctx, cfg.data, embedded || backlog); err != nil {
		return err
	}
	if err := p.addAdmin(ctx, cfg.admin); err != nil {
		return err
	}
	var err error
	switch {
	case embedded:
		cfg.kafka.ClusterConfig, err = p.addBroker(ctx, cfg.broker, cfg.data.dirConfig, cfg.kafka.TopicConfig)
	case cfg.wire.Mode == payments.Kafka:
		err = p.awaitTopics(ctx, cfg.kafka)
	}
	if err != nil {
		return err
	}
	role, err := p.addAPI(ctx, apiConfig{cfg.data, cfg.api, cfg.wire, cfg.kafka})
	if err != nil {
		return err
	}
	if backlog {
		if err := p.addBacklog(ctx, cfg, role); err != nil {
			return err
		}
	}
	rpc := transport.RPCConfig{URL: p.url("internal"), Token: cfg.api.InternalToken}
	return p.addIngest(ctx, ingestConfig{cfg.ingest, cfg.wire, cfg.retry, rpc, cfg.kafka}, role.grouped)
}

// addBacklog applies what the embedded broker accepted before this process was
// told to use another wire: it was answered 2xx.
func (p *process) addBacklog(ctx context.Context, cfg allConfig, role *apiRole) error {
	p.log.Info("the embedded broker's log from an earlier start is applied too", "dir", cfg.data.brokerDir())
	cluster, err := p.addBroker(ctx, cfg.broker, cfg.data.dirConfig, cfg.kafka.TopicConfig)
	if err != nil {
		return err
	}
	cfg.kafka.ClusterConfig, cfg.kafka.InstanceID = cluster, onlyInstance
	return p.addConsumer(ctx, "backlog", cfg.kafka, role)
}

// suggest shows the whole way of a webhook in two commands.
func (p *process) suggest(out io.Writer) {
	fmt.Fprintf(out, `Try it:

  curl -i %s/webhooks/payments/orders -H 'Content-Type: application/json' -d '{
    "provider_event_id": "evt-1", "order_id": "order-1", "user_id": "user-1", "status": "created",
    "created_at": "2026-01-04T10:00:00Z", "updated_at": "2026-01-04T10:00:00Z",
    "meta": {"amount": "100.50", "currency": "USD"}}'

  curl %s/orders/order-1

`, p.url("ingest"), p.url("api"))
}
