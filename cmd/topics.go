package cmd

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/transport/kafka"
)

func newTopics() *cobra.Command {
	topics := &cobra.Command{Use: "topics", Short: "Create and check the topics on a Kafka cluster"}
	return group(topics, newTopicsCreate(), newTopicsCheck())
}

// topicsConfig is the configuration that the commands of app topics share.
type topicsConfig struct {
	cluster  kafka.ClusterConfig
	topics   kafka.TopicConfig
	password passwordConfig
}

func (c *topicsConfig) registrars() []registrar {
	return []registrar{&c.cluster, &c.topics, &c.password}
}

// prepare reads the password and validates the configuration, with that of the command.
func (c *topicsConfig) prepare(own interface{ Validate() error }) (err error) {
	if c.cluster.Password, err = c.password.password(); err != nil {
		return err
	}
	return validate(c.cluster, c.topics, own)
}

// topicsTimeout is how long a start waits for the brokers, so that the roles and the
// broker can start in any order.
const topicsTimeout = 15 * time.Second

// awaitTopics waits until the brokers answer and have the topics. It returns an error
// if acknowledged records have too few copies.
func (p *process) awaitTopics(ctx context.Context, cfg kafka.Config) error {
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	p.log.Info("waiting for the Kafka topics", "brokers", cfg.Brokers)
	warnings, err := kafka.AwaitTopics(ctx, cfg)
	for _, warning := range warnings {
		p.log.Warn(warning)
	}
	return err
}
