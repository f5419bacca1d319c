package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

type serveBrokerConfig struct {
	log    logConfig
	admin  admin.Config
	dir    dirConfig
	topics kafka.TopicConfig
	broker broker.Config
}

func newServeBroker() *cobra.Command {
	var cfg serveBrokerConfig
	command := &cobra.Command{
		Use:   "broker",
		Short: "Run the embedded Kafka-protocol broker alone, for split roles on one machine",
		Args:  noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return serveBroker(command.Context(), cfg, command.OutOrStdout())
		},
	}
	register(command, withDefault{&cfg.broker, "127.0.0.1:9092"}, withDefault{&cfg.admin, "127.0.0.1:3005"}, &cfg.dir, &cfg.topics, &cfg.log)
	return command
}

func serveBroker(ctx context.Context, cfg serveBrokerConfig, out io.Writer) error {
	if err := validate(cfg.dir, cfg.topics); err != nil {
		return err
	}
	return runProcess(ctx, cfg.log, garbagePercent, cfg.build, func(p *process) {
		p.introduce(out, fmt.Sprintf("payrelay broker is ready: an embedded single-node log, data in %s", cfg.dir.brokerDir()))
	})
}

func (cfg serveBrokerConfig) build(ctx context.Context, p *process) error {
	if err := p.addLock(ctx, cfg.dir.brokerDir()); err != nil {
		return err
	}
	if err := p.addAdmin(ctx, cfg.admin); err != nil {
		return err
	}
	_, err := p.addBroker(ctx, cfg.broker, cfg.dir, cfg.topics)
	return err
}

// addBroker adds the embedded broker with its topics and tells where it listens.
// Its directory must be locked.
func (p *process) addBroker(ctx context.Context, cfg broker.Config, dir dirConfig, topics kafka.TopicConfig) (kafka.ClusterConfig, error) {
	if err := topics.Validate(); err != nil {
		return kafka.ClusterConfig{}, err
	}
	b, err := broker.Open(cfg, dir.brokerDir(), topics.Names(), topics.Group, p.log)
	if err != nil {
		return kafka.ClusterConfig{}, err
	}
	p.crew.start(ctx, "broker", b.Run)
	p.listens("broker", b.Addr(), "Kafka protocol")
	return kafka.ClusterConfig{Brokers: []string{b.Addr()}}, nil
}
