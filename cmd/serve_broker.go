package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/transport"
)

type serveBrokerConfig struct {
	log    logConfig
	admin  admin.Config
	dir    dirConfig
	topics transport.TopicConfig
	broker broker.Config
}

func newServeBroker() *cobra.Command {
	var cfg serveBrokerConfig
	command := &cobra.Command{
		Use:   "broker",
		Short: "Run the embedded Kafka-protocol broker alone, for split roles on one machine",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return serveBroker(command.Context(), cfg, command.OutOrStdout())
		},
	}
	register(command, withDefault{&cfg.broker, "127.0.0.1:9092"}, withDefault{&cfg.admin, "127.0.0.1:3005"}, &cfg.dir, &cfg.topics, &cfg.log)
	return command
}

func serveBroker(ctx context.Context, cfg serveBrokerConfig, out io.Writer) error {
	p, err := newProcess(cfg.log, cfg.admin)
	if err != nil {
		return err
	}
	if _, err := p.addBroker(cfg.broker, cfg.dir, cfg.topics); err != nil {
		return err
	}
	return p.run(ctx, func() {
		p.introduce(out, fmt.Sprintf("payrelay broker is ready: an embedded single-node log, data in %s", cfg.dir.brokerDir()))
	})
}

// addBroker adds the embedded broker with its topics and tells where it listens.
func (p *process) addBroker(cfg broker.Config, dir dirConfig, topics transport.TopicConfig) (brokers []string, err error) {
	if err := topics.Validate(); err != nil {
		return nil, err
	}
	unlock, err := lockDir(dir.brokerDir())
	if err != nil {
		return nil, err
	}
	p.addClosing("broker directory", unlock)
	b, err := broker.Open(cfg, dir.brokerDir(), topics.Names(), p.log)
	if err != nil {
		return nil, err
	}
	p.add("broker", b.Run)
	p.listens("broker", b.Addr(), "Kafka protocol")
	return []string{b.Addr()}, nil
}
