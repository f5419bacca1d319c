package cmd

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

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// deadLetterStore is what these commands need beyond payments.Store.
type deadLetterStore interface {
	DeadLetters(ctx context.Context, query payments.DeadLetterQuery) ([]*payments.DeadLetter, error)
	Discard(ctx context.Context, id int64, at time.Time) error
}

func newDeadLetters() *cobra.Command {
	deadLetters := &cobra.Command{
		Use:   "deadletters",
		Short: "List, show and settle updates that were accepted but could not be applied",
		Long: "A dead letter is an update that was accepted and recorded, but could not be applied.\n" +
			"These commands work on the database directly, whether or not a process runs on it.",
	}
	return group(deadLetters, newDeadLettersList(),
		newDeadLetter("show ID", "Show one dead letter in full", showDeadLetter),
		newDeadLetter("replay ID", "Try to apply a dead letter again", replayDeadLetter),
		newDeadLetter("discard ID", "Settle a dead letter without applying it", discardDeadLetter))
}

func newDeadLettersList() *cobra.Command {
	var data dataConfig
	var query payments.DeadLetterQuery
	command := &cobra.Command{
		Use:   "list",
		Short: "List the open dead letters, oldest first",
		Args:  noArgs,
	}
	register(command, &data)
	command.Flags().BoolVar(&query.Settled, "settled", false, "list settled dead letters too")
	command.Flags().IntVar(&query.Limit, "limit", 100, "maximum number of dead letters to list")
	command.Flags().Int64Var(&query.AfterID, "after", 0, "list the dead letters after this ID")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if query.Limit < 1 {
			return fmt.Errorf("--limit is %d: it must be at least 1", query.Limit)
		}
		return withDatabase(command.Context(), data, func(db database) error {
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
	fmt.Fprintln(table, "ID\tREASON\tPROVIDER\tEVENT\tORDER\tSINCE\tSETTLED")
	for _, d := range letters {
		settled := "-"
		if d.Resolution != "" {
			settled = string(d.Resolution)
		}
		fmt.Fprintf(table, "%d\t%s\t%q\t%q\t%q\t%s\t%s\n", d.ID, payments.DeadLetterReasons.Name(d.Reason),
			d.Key.Provider, d.Key.EventID, d.OrderID, d.CreatedAt.Format(time.RFC3339), settled)
	}
	return table.Flush()
}

// newDeadLetter returns a command that acts on one dead letter.
func newDeadLetter(use, short string, act func(context.Context, database, int64, io.Writer) error) *cobra.Command {
	var data dataConfig
	command := &cobra.Command{Use: use, Short: short, Args: func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return errors.New("name one dead letter by its ID: app deadletters list shows it")
		}
		return nil
	}}
	register(command, &data)
	command.RunE = func(command *cobra.Command, args []string) error {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || id < 1 {
			return fmt.Errorf("%q is not the ID of a dead letter: use a number that app deadletters list shows", args[0])
		}
		return withDatabase(command.Context(), data, func(db database) error {
			return act(command.Context(), db, id, command.OutOrStdout())
		})
	}
	return command
}

func showDeadLetter(ctx context.Context, db database, id int64, out io.Writer) error {
	d, err := db.DeadLetter(ctx, id)
	if err != nil {
		return fmt.Errorf("show dead letter %d: %w", id, err)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"id", strconv.FormatInt(d.ID, 10)},
		{"reason", payments.DeadLetterReasons.Name(d.Reason)},
		{"detail", strconv.Quote(d.Detail)},
		{"provider", strconv.Quote(d.Key.Provider)},
		{"event", strconv.Quote(d.Key.EventID)},
		{"order", strconv.Quote(d.OrderID)},
		{"dispute", strconv.Quote(d.DisputeID)},
		{"since", d.CreatedAt.Format(time.RFC3339Nano)},
		{"settled", string(d.Resolution)},
		{"digest", fmt.Sprintf("%x", d.Digest)},
		{"payload", describePayload(d)},
	} {
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

func replayDeadLetter(ctx context.Context, db database, id int64, out io.Writer) error {
	outcome, err := payments.NewLedger(db).Replay(ctx, id)
	if err != nil {
		return err
	}
	verdict := payments.Verdicts.Name(outcome.GetVerdict())
	if reason := payments.DeadLetterReasons.Name(outcome.GetReason()); reason != "" {
		verdict += ": " + reason
	}
	_, err = fmt.Fprintln(out, verdict)
	return err
}

func discardDeadLetter(ctx context.Context, db database, id int64, out io.Writer) error {
	if err := db.Discard(ctx, id, time.Now().UTC()); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "discarded")
	return err
}
