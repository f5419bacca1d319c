package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/transport/kafka/topics"
)

func newTopicsCreate() *cobra.Command {
	var cfg topicsConfig
	var spec topics.Spec
	command := &cobra.Command{
		Use:   "create",
		Short: "Create the topics that do not exist, and show how existing ones differ",
		Args:  noArgs,
	}
	register(command, append(cfg.registrars(), &spec)...)
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := cfg.prepare(spec); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(command.Context(), topicsTimeout)
		defer cancel()
		created, err := topics.Create(ctx, cfg.cluster, cfg.topics, spec)
		for _, topic := range created {
			printCreated(command.OutOrStdout(), topic)
		}
		return err
	}
	return command
}

func printCreated(out io.Writer, t topics.Created) {
	shape := fmt.Sprintf("%d partitions, replication factor %d, min.insync.replicas %d", len(t.Partitions), t.Replicas(), t.MinInSync)
	switch {
	case t.Created:
		fmt.Fprintf(out, "created %s: %s\n", t.Name, shape)
	case len(t.Differences) == 0:
		fmt.Fprintf(out, "%s exists: %s\n", t.Name, shape)
	default:
		fmt.Fprintf(out, "%s exists and was not changed: %s\n", t.Name, strings.Join(t.Differences, "; "))
	}
}
