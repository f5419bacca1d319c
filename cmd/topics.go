package cmd

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport/kafka"
	"github.com/payrelay/payrelay/modules/transport/kafka/topics"
)

func newTopics() *cobra.Command {
	topics := &cobra.Command{Use: "topics", Short: "Create and check the topics on a Kafka cluster"}
	return flags.Group(topics, newTopicsCreate(), newTopicsCheck(), newTopicsRewind())
}

// topicsConfig is the configuration that the commands of app topics share.
type topicsConfig struct {
	cluster  kafka.ClusterConfig
	topics   kafka.TopicConfig
	password flags.Password
	mode     payments.Mode
}

// RegisterFlags declares the flag of the mode, whose variable the serve commands have too.
func (c *topicsConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.TextVar(&c.mode, "mode", payments.Kafka, "wire that carries the updates; only kafka has topics: `WEBHOOK_MODE`")
}

func (c *topicsConfig) registrars() []flags.Registrar {
	return []flags.Registrar{c, &c.cluster, &c.topics, &c.password}
}

// prepare reads the password and validates the configuration, with that of the command.
func (c *topicsConfig) prepare(own interface{ Validate() error }) (err error) {
	if c.mode != payments.Kafka && len(c.cluster.Brokers) == 0 {
		return flags.Usagef("mode %s has no topics: only mode kafka has", c.mode)
	}
	if c.cluster.Password, err = c.password.Secret(); err != nil {
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

func newTopicsCreate() *cobra.Command {
	var cfg topicsConfig
	var spec topics.Spec
	command := &cobra.Command{
		Use:   "create",
		Short: "Create the topics that do not exist, and show how existing ones differ",
		Args:  flags.NoArgs,
	}
	flags.Register(command, append(cfg.registrars(), &spec)...)
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
		Args:  flags.NoArgs,
	}
	flags.Register(command, append(cfg.registrars(), &copies)...)
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

// rewindConfig has the time of app topics rewind.
type rewindConfig struct{ to string }

func (c *rewindConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.to, "to", "", "time such as 2026-01-31T12:00:00Z: everything published since then is applied again")
}

func newTopicsRewind() *cobra.Command {
	var cfg topicsConfig
	var own rewindConfig
	command := &cobra.Command{
		Use:   "rewind",
		Short: "Set the consumer group back to a time, after the restore of a backup; while no api process runs",
		Args:  flags.NoArgs,
	}
	flags.Register(command, append(cfg.registrars(), &own)...)
	command.RunE = func(command *cobra.Command, _ []string) error {
		since, err := time.Parse(time.RFC3339, own.to)
		if err != nil {
			return fmt.Errorf("--to is %q: write a time with its zone, such as 2026-01-31T12:00:00Z", own.to)
		}
		if err := cfg.prepare(kafka.CopiesConfig{}); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(command.Context(), topicsTimeout)
		defer cancel()
		if err := kafka.CheckEmpty(ctx, cfg.cluster, cfg.topics.Group); err != nil {
			return err
		}
		to, err := kafka.OffsetsSince(ctx, cfg.cluster, cfg.topics, since)
		if err != nil {
			return err
		}
		changed, err := kafka.Rewind(ctx, kafka.Config{ClusterConfig: cfg.cluster, TopicConfig: cfg.topics}, to)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "TOPIC\tPARTITION\tWAS AT\tIS AT\tAPPLIED AGAIN")
		for _, c := range changed {
			fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\n", c.Topic, c.Partition, c.Committed, c.Offset, c.Again())
		}
		return table.Flush()
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
