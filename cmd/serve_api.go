package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

type serveAPIConfig struct {
	log      logConfig
	admin    admin.Config
	data     dataConfig
	api      api.Config
	wire     transport.Config
	kafka    kafka.Config
	token    tokenConfig
	password passwordConfig
}

func newServeAPI() *cobra.Command {
	var cfg serveAPIConfig
	command := &cobra.Command{
		Use:   "api",
		Short: "Run the role that owns the data: it applies updates and answers queries",
		Args:  noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return serveAPI(command.Context(), cfg, command.OutOrStdout())
		},
	}
	register(command, &cfg.wire, &cfg.api, withDefault{&cfg.admin, "127.0.0.1:3003"}, &cfg.data, &cfg.kafka, &cfg.token, &cfg.password, &cfg.log)
	return command
}

func serveAPI(ctx context.Context, cfg serveAPIConfig, out io.Writer) error {
	var err error
	if cfg.kafka.Password, err = cfg.password.password(); err != nil {
		return err
	}
	if err := checkSplit(cfg.wire, cfg.kafka); err != nil {
		return err
	}
	if cfg.api.InternalToken, err = cfg.token.token(); err != nil {
		return err
	}
	if err := validate(cfg.data, cfg.api); err != nil {
		return err
	}
	return runProcess(ctx, cfg.log, garbagePercent, cfg.build, func(p *process) {
		p.introduce(out, fmt.Sprintf("payrelay api is ready: mode %s, database %s", cfg.wire.Mode, cfg.data.shown()))
	})
}

func (cfg serveAPIConfig) build(ctx context.Context, p *process) error {
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
	_, err := p.addAPI(ctx, apiConfig{cfg.data, cfg.api, cfg.wire, cfg.kafka})
	return err
}
