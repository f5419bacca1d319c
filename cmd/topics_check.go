package cmd

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/transport/kafka"
	"github.com/payrelay/payrelay/modules/transport/kafka/topics"
)

// loneBroker is a warning: a check of the embedded broker, or of a cluster for
// development, succeeds.
const loneBroker = "warning: the cluster has one broker, which keeps the only copy of each record: in production use three, and set KAFKA_MIN_COPIES=2"

func newTopicsCheck() *cobra.Command {
	var cfg topicsConfig
	// A start accepts one copy, but a cluster should keep two.
	copies := kafka.CopiesConfig{MinCopies: 2}
	command := &cobra.Command{
		Use:   "check",
		Short: "Show the topics and their lag, and fail if acknowledged records are not safe",
		Args:  noArgs,
	}
	register(command, append(cfg.registrars(), &copies)...)
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := cfg.prepare(copies); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(command.Context(), topicsTimeout)
		defer cancel()
		reports, err := topics.Check(ctx, cfg.cluster, cfg.topics)
		if err != nil {
			return err
		}
		// A cluster of one broker cannot keep two copies: only an operator who asks for
		// them gets an error.
		lone := reports[0].Brokers == 1 && !command.Flags().Changed("kafka-min-copies")
		if lone {
			copies.MinCopies = 1
		}
		if err := printReports(command.OutOrStdout(), reports, copies); err != nil || !lone {
			return err
		}
		_, err = fmt.Fprintln(command.OutOrStdout(), "\n"+loneBroker)
		return err
	}
	return command
}

// printReports prints the reports and their problems, and returns an error if there is
// a problem.
func printReports(out io.Writer, reports []topics.Report, copies kafka.CopiesConfig) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TOPIC\tPARTITIONS\tREPLICAS\tMIN IN SYNC\tRETENTION\tLEADERLESS\tUNDER-REPLICATED")
	for _, r := range reports {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\t%d\t%d\n", r.Name, len(r.Partitions), r.Replicas(), r.MinInSync,
			retentionText(r.Topic), len(r.Leaderless()), len(r.UnderReplicated()))
	}
	fmt.Fprintln(table, "\nTOPIC\tPARTITION\tLEADER\tIN SYNC\tOLDEST\tAPPLIED\tNEWEST\tLAG")
	var problems []string
	for _, r := range reports {
		for i, p := range r.Partitions {
			done := r.Progress[i]
			fmt.Fprintf(table, "%s\t%d\t%s\t%d of %d\t%s\t%s\t%s\t%s\n", r.Name, i, known(int64(p.Leader)), len(p.InSync), len(p.Replicas),
				known(done.Oldest), known(done.Applied), known(done.Newest), known(done.Lag()))
		}
		problems = append(problems, r.Problems(copies)...)
	}
	if err := table.Flush(); err != nil || len(problems) == 0 {
		return err
	}
	fmt.Fprintln(out)
	for _, problem := range problems {
		fmt.Fprintln(out, problem)
	}
	return fmt.Errorf("acknowledged records are not safe: %d problems found", len(problems))
}

// known returns an offset as text: "-" for none, "?" for an unknown one.
func known(n int64) string {
	switch n {
	case kafka.NoOffset:
		return "-"
	case kafka.UnknownOffset:
		return "?"
	}
	return strconv.FormatInt(n, 10)
}

func retentionText(t kafka.Topic) string {
	const day = 24 * time.Hour
	switch {
	case t.Retention < 0:
		return "unlimited"
	case t.Retention >= day && t.Retention%day == 0:
		return fmt.Sprintf("%d days", t.Retention/day)
	default:
		return t.Retention.String()
	}
}
