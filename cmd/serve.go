package cmd

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

func newServe() *cobra.Command {
	serve := &cobra.Command{Use: "serve", Short: "Run one role or all of them"}
	return group(serve, newServeAll(), newServeIngest(), newServeAPI(), newServeBroker())
}

// group makes parent a command that only holds others. Alone it shows its help;
// cobra would do so, and succeed, for a misspelt subcommand as well.
func group(parent *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	parent.Args, parent.DisableFlagsInUseLine = noArgs, true
	parent.RunE = func(command *cobra.Command, _ []string) error { return command.Help() }
	parent.AddCommand(commands...)
	return parent
}

// errNeedsBrokers is for the roles that have no broker of their own.
var errNeedsBrokers = errors.New("mode kafka needs kafka-brokers (KAFKA_BROKERS): name a Kafka cluster, or run app serve broker and name 127.0.0.1:9092")

// errDirectIsOneProcess is for the roles that direct cannot connect.
var errDirectIsOneProcess = errors.New("mode direct has no wire: it works in app serve all only")

// checkSplit refuses what only works when all roles are one process, and a Kafka
// that cannot be reached as it is configured.
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

// validate returns what is wrong with the first of the configurations that has
// something wrong, so that a start is refused before any part of it.
func validate(configs ...interface{ Validate() error }) error {
	for _, cfg := range configs {
		if err := cfg.Validate(); err != nil {
			return err
		}
	}
	return nil
}
