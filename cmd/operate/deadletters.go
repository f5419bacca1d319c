// Package operate has the commands of the people on call: they show orders, disputes and
// dead letters, and settle what could not be applied. It belongs to cmd, which passes in
// how a database is opened.
package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Database is what these commands need of a store.
type Database interface {
	payments.Store
	DeadLetters(ctx context.Context, query payments.DeadLetterQuery) ([]*payments.DeadLetter, error)
}

// Open opens an existing database for one command, and closes it after use.
type Open func(ctx context.Context, data flags.Data, use func(Database) error) error

// NewDeadLetters returns the command that lists and settles dead letters.
func NewDeadLetters(open Open) *cobra.Command {
	deadLetters := &cobra.Command{
		Use:   "deadletters",
		Short: "List, show and settle updates that were accepted but could not be applied",
		Long: "A dead letter is an update that was accepted and recorded, but could not be applied.\n" +
			"These commands work on the database directly, whether or not a process runs on it.",
	}
	return flags.Group(deadLetters, newDeadLettersList(open), newDeadLettersShow(open), newDeadLettersReplay(open),
		newDecision(open, "accept ID", "Apply a dead letter although it contradicts its history",
			"Applies a dead letter although it contradicts the history of its order or dispute. It takes effect\n"+
				"at its own position in the history, regardless of later updates.", acceptDeadLetter),
		newDecision(open, "discard ID", "Settle a dead letter without applying it",
			"Settles a dead letter without applying it. The same update is a duplicate if it is sent again.", discardDeadLetter))
}

func newDeadLettersList(open Open) *cobra.Command {
	var data flags.Data
	var query payments.DeadLetterQuery
	command := &cobra.Command{
		Use:   "list",
		Short: "List the open dead letters, oldest first",
		Args:  flags.NoArgs,
	}
	flags.Register(command, &data)
	command.Flags().BoolVar(&query.Settled, "settled", false, "list settled dead letters too")
	command.Flags().IntVar(&query.Limit, "limit", 100, "maximum number of dead letters to list")
	command.Flags().Int64Var(&query.AfterID, "after", 0, "list the dead letters after this ID")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if query.Limit < 1 {
			return fmt.Errorf("--limit is %d: it must be at least 1", query.Limit)
		}
		return open(command.Context(), data, func(db Database) error {
			letters, err := db.DeadLetters(command.Context(), query)
			if err != nil {
				return fmt.Errorf("list dead letters: %w", err)
			}
			return printDeadLetters(command.OutOrStdout(), letters)
		})
	}
	return command
}

func printDeadLetters(out io.Writer, letters []*payments.DeadLetter) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tREASON\tSOURCE\tKIND\tEVENT\tORDER\tSINCE\tDELIVERIES\tLAST\tSETTLED")
	for _, d := range letters {
		fmt.Fprintf(table, "%d\t%s\t%q\t%s\t%q\t%q\t%s\t%d\t%s\t%s\n", d.ID, payments.DeadLetterReasons.Name(d.Reason),
			d.Key.Source, dash(string(d.Key.Kind)), d.Key.EventID, d.OrderID, d.CreatedAt.Format(time.RFC3339),
			d.Deliveries, d.LastAt.Format(time.RFC3339), dash(string(d.Resolution)))
	}
	return table.Flush()
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// deadLetterID parses the argument of a command about one dead letter.
func deadLetterID(args []string) (int64, error) {
	if len(args) != 1 {
		return 0, errors.New("name one dead letter by its ID: app deadletters list shows it")
	}
	id, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("%q is not the ID of a dead letter: use a number that app deadletters list shows", args[0])
	}
	return id, nil
}

func newDeadLettersShow(open Open) *cobra.Command {
	var data flags.Data
	command := &cobra.Command{Use: "show ID", Short: "Show one dead letter in full", Args: cobra.ArbitraryArgs}
	flags.Register(command, &data)
	command.RunE = func(command *cobra.Command, args []string) error {
		id, err := deadLetterID(args)
		if err != nil {
			return err
		}
		return open(command.Context(), data, func(db Database) error {
			d, err := db.DeadLetter(command.Context(), id)
			if err != nil {
				return fmt.Errorf("show dead letter %d: %w", id, err)
			}
			return showDeadLetter(command.OutOrStdout(), d)
		})
	}
	return command
}

func showDeadLetter(out io.Writer, d *payments.DeadLetter) error {
	lines := [][2]string{
		{"id", strconv.FormatInt(d.ID, 10)},
		{"reason", payments.DeadLetterReasons.Name(d.Reason)},
		{"detail", strconv.Quote(d.Detail)},
		{"source", strconv.Quote(d.Key.Source)},
		{"kind", string(d.Key.Kind)},
		{"event", strconv.Quote(d.Key.EventID)},
		{"order", strconv.Quote(d.OrderID)},
		{"dispute", strconv.Quote(d.DisputeID)},
		{"since", d.CreatedAt.Format(time.RFC3339Nano)},
		{"deliveries", strconv.FormatInt(d.Deliveries, 10)},
		{"last", d.LastAt.Format(time.RFC3339Nano)},
		{"settled", string(d.Resolution)},
	}
	if d.Resolution != "" {
		lines = append(lines, [][2]string{
			{"settled at", d.ResolvedAt.Format(time.RFC3339Nano)},
			{"by", strconv.Quote(d.By)},
			{"why", strconv.Quote(d.Why)},
		}...)
	}
	lines = append(lines, [2]string{"digest", fmt.Sprintf("%x", d.Digest)}, [2]string{"payload", describePayload(d)})
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
	return table.Flush()
}

// describePayload returns an update as JSON, without the body of the webhook, which
// may contain personal data.
func describePayload(d *payments.DeadLetter) string {
	u := new(payrelayv1.Update)
	if err := proto.Unmarshal(d.Payload, u); err != nil {
		return fmt.Sprintf("%d bytes that do not decode as an update", len(d.Payload))
	}
	u.RawBody = nil
	text, err := protojson.Marshal(u)
	if err != nil {
		return fmt.Sprintf("%d bytes that do not decode as an update", len(d.Payload))
	}
	return string(text)
}

// newDecision returns a command that settles one dead letter and requires a reason.
func newDecision(open Open, use, short, long string, act func(context.Context, *payments.Ledger, int64, flags.Decision) (string, error)) *cobra.Command {
	var data flags.Data
	var by flags.Decision
	command := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs}
	flags.Register(command, &data)
	by.Register(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		id, err := deadLetterID(args)
		if err != nil {
			return err
		}
		if err := by.Complete(false); err != nil {
			return err
		}
		return open(command.Context(), data, func(db Database) error {
			done, err := act(command.Context(), payments.NewLedger(db), id, by)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), done)
			return err
		})
	}
	return command
}

func acceptDeadLetter(ctx context.Context, ledger *payments.Ledger, id int64, d flags.Decision) (string, error) {
	outcome, err := ledger.Accept(ctx, id, d.By, d.Why)
	return describeOutcome(outcome), err
}

func discardDeadLetter(ctx context.Context, ledger *payments.Ledger, id int64, d flags.Decision) (string, error) {
	return "discarded", ledger.Discard(ctx, id, d.By, d.Why)
}

// describeOutcome returns a verdict with its reason, such as "dead_lettered: conflict".
func describeOutcome(outcome *payrelayv1.Outcome) string {
	verdict := payments.Verdicts.Name(outcome.GetVerdict())
	if reason := payments.DeadLetterReasons.Name(outcome.GetReason()); reason != "" {
		verdict += ": " + reason
	}
	return verdict
}
