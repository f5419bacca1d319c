package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

type serveIngestConfig struct {
	log      logConfig
	admin    admin.Config
	ingest   ingest.Config
	wire     transport.Config
	retry    transport.RetryConfig
	rpc      transport.RPCConfig
	kafka    kafka.Config
	token    tokenConfig
	password passwordConfig
}

func newServeIngest() *cobra.Command {
	var cfg serveIngestConfig
	command := &cobra.Command{
		Use:   "ingest",
		Short: "Run the role at the edge: it takes webhooks in and relays them",
		Args:  noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return serveIngest(command.Context(), cfg, command.OutOrStdout())
		},
	}
	register(command, &cfg.wire, &cfg.ingest, withDefault{&cfg.admin, "127.0.0.1:3004"}, &cfg.rpc, &cfg.retry, &cfg.kafka, &cfg.token, &cfg.password, &cfg.log)
	return command
}

func serveIngest(ctx context.Context, cfg serveIngestConfig, out io.Writer) error {
	var err error
	if cfg.kafka.Password, err = cfg.password.password(); err != nil {
		return err
	}
	if err := checkSplit(cfg.wire, cfg.kafka); err != nil {
		return err
	}
	if cfg.rpc.Token, err = cfg.token.token(); err != nil {
		return err
	}
	if err := validate(cfg.ingest, cfg.retry); err != nil {
		return err
	}
	return runProcess(ctx, cfg.log, ingestGarbagePercent, cfg.build, func(p *process) {
		p.introduce(out, fmt.Sprintf("payrelay ingest is ready: mode %s", cfg.wire.Mode))
	})
}

func (cfg serveIngestConfig) build(ctx context.Context, p *process) error {
	if err := p.addAdmin(ctx, cfg.admin); err != nil {
		return err
	}
	if cfg.wire.Mode == payments.Kafka {
		if err := p.awaitTopics(ctx, cfg.kafka); err != nil {
			return err
		}
	}
	return p.addIngest(ctx, ingestConfig{cfg.ingest, cfg.wire, cfg.retry, cfg.rpc, cfg.kafka}, nil)
}
