package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/transport"
)

// allConfig is every role's configuration, with one place for what they share.
type allConfig struct {
	log    logConfig
	admin  admin.Config
	data   dataConfig
	api    api.Config
	ingest ingest.Config
	wire   transport.Config
	retry  transport.RetryConfig
	kafka  transport.KafkaConfig
	broker broker.Config
	token  tokenConfig
}

func newServeAll() *cobra.Command {
	var cfg allConfig
	command := &cobra.Command{
		Use:   "all",
		Short: "Run every role in one process, with an embedded broker and SQLite unless told otherwise",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return serveAll(command.Context(), cfg, command.OutOrStdout())
		},
	}
	register(command, &cfg.wire, &cfg.ingest, &cfg.api, withDefault{&cfg.admin, "127.0.0.1:3003"}, &cfg.data,
		&cfg.retry, &cfg.kafka, withDefault{&cfg.broker, "127.0.0.1:0"}, &cfg.token, &cfg.log)
	return command
}

func serveAll(ctx context.Context, cfg allConfig, out io.Writer) error {
	var err error
	if cfg.api.InternalToken, err = cfg.token.token(); err != nil {
		return err
	}
	if err := validate(cfg.ingest, cfg.retry, cfg.api); err != nil {
		return err
	}
	p, err := newProcess(cfg.log, cfg.admin)
	if err != nil {
		return err
	}
	if cfg.wire.Mode == transport.Kafka && len(cfg.kafka.Brokers) == 0 {
		if cfg.kafka.Brokers, err = p.addBroker(cfg.broker, cfg.data.dirConfig, cfg.kafka.TopicConfig); err != nil {
			return err
		}
	}
	cfg.kafka.Unary = !cfg.wire.Batch
	group, err := p.addAPI(ctx, apiConfig{cfg.data, cfg.api, cfg.wire, cfg.kafka})
	if err != nil {
		return err
	}
	rpc := transport.RPCConfig{URL: p.url("internal"), Token: cfg.api.InternalToken, Unary: !cfg.wire.Batch}
	if err := p.addIngest(ctx, ingestConfig{cfg.ingest, cfg.wire, cfg.retry, rpc, cfg.kafka}, group); err != nil {
		return err
	}
	return p.run(ctx, func() {
		p.introduce(out, fmt.Sprintf("payrelay is ready: every role in one process, mode %s, data in %s", cfg.wire.Mode, cfg.data.dir))
		p.suggest(out)
	})
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
