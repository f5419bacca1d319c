package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

func newServe() *cobra.Command {
	serve := &cobra.Command{Use: "serve", Short: "Run all roles in one process, or one role"}
	return group(serve, newServeAll(), newServeIngest(), newServeAPI(), newServeBroker())
}

var (
	errNeedsBrokers       = errors.New("mode kafka needs kafka-brokers (KAFKA_BROKERS): name a Kafka cluster, or run app serve broker and name 127.0.0.1:9092")
	errDirectIsOneProcess = errors.New("mode direct connects the roles within one process: run app serve all, or choose another mode")
)

// checkSplit refuses settings that only work when all roles are one process, and
// Kafka settings that cannot work.
func checkSplit(wire transport.Config, kafka kafka.Config) error {
	switch {
	case wire.Mode == payments.Direct:
		return errDirectIsOneProcess
	case wire.Mode == payments.Kafka && len(kafka.Brokers) == 0:
		return errNeedsBrokers
	case wire.Mode == payments.Kafka:
		return kafka.Validate()
	default:
		return nil
	}
}

// validate returns the first error of the configurations, so that nothing is
// started with a bad one.
func validate(configs ...interface{ Validate() error }) error {
	for _, cfg := range configs {
		if err := cfg.Validate(); err != nil {
			return err
		}
	}
	return nil
}

type serveBrokerConfig struct {
	log    logConfig
	admin  adminConfig
	dir    dirConfig
	topics kafka.TopicConfig
	broker broker.Config
}

func newServeBroker() *cobra.Command {
	var cfg serveBrokerConfig
	command := &cobra.Command{
		Use:   "broker",
		Short: "Run the embedded Kafka-protocol broker, for separate roles on one machine",
		Args:  noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return cfg.serve(command.Context(), command.OutOrStdout())
		},
	}
	register(command, withDefault{&cfg.broker, "127.0.0.1:9092"}, withDefault{&cfg.admin, "127.0.0.1:3005"}, &cfg.dir, &cfg.topics, &cfg.log)
	return command
}

func (cfg serveBrokerConfig) serve(ctx context.Context, out io.Writer) error {
	if err := validate(cfg.dir, cfg.topics, cfg.admin); err != nil {
		return err
	}
	build := func(ctx context.Context, p *process) error {
		if err := p.addLock(ctx, cfg.dir.brokerDir()); err != nil {
			return err
		}
		if err := p.addAdmin(ctx, cfg.admin); err != nil {
			return err
		}
		_, err := p.addBroker(ctx, cfg.broker, cfg.dir, cfg.topics)
		return err
	}
	return runProcess(ctx, cfg.log, gcPercent, build, func(p *process) {
		p.introduce(out, fmt.Sprintf("payrelay broker is ready: an embedded single-node log, data in %s", cfg.dir.brokerDir()))
	})
}

// addBroker adds the embedded broker with its topics, and returns how to connect
// to it. The directory of its log must be locked.
func (p *process) addBroker(ctx context.Context, cfg broker.Config, dir dirConfig, topics kafka.TopicConfig) (kafka.ClusterConfig, error) {
	if err := topics.Validate(); err != nil {
		return kafka.ClusterConfig{}, err
	}
	b, err := broker.Open(cfg, dir.brokerDir(), topics.Names(), topics.Group, p.log)
	if err != nil {
		return kafka.ClusterConfig{}, err
	}
	p.start(ctx, "broker", b.Run)
	// For app backup, which asks the broker while this process runs.
	if err := os.WriteFile(filepath.Join(dir.brokerDir(), addressFile), []byte(b.Addr()+"\n"), 0o600); err != nil {
		return kafka.ClusterConfig{}, fmt.Errorf("write the address of the broker: %w", err)
	}
	p.listens("broker", b.Addr(), "Kafka protocol")
	return kafka.ClusterConfig{Brokers: []string{b.Addr()}}, nil
}
