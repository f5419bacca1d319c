package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/store/retention"
)

func newRetention() *cobra.Command {
	return flags.Group(&cobra.Command{Use: "retention", Short: "Remove the bodies of old webhooks"}, newRetentionRun())
}

func newRetentionRun() *cobra.Command {
	var data flags.Data
	var cfg retention.Config
	var dryRun bool
	command := &cobra.Command{
		Use:   "run",
		Short: "Remove the bodies of old webhooks now; the api role does it every hour",
		Long: "Removes the bodies of webhooks that are older than --body-retention, by whole days in UTC, and those in\n" +
			"settled dead letters. Everything else about the webhooks stays, so that they are recognized if they are\n" +
			"sent again. An open dead letter keeps its body. In PostgreSQL it also makes the partitions of the next days.",
		Args: flags.NoArgs,
	}
	flags.Register(command, &data, &cfg)
	command.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be removed, and remove nothing")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if cfg.Keep == 0 && dryRun {
			return errors.New("body-retention (BODY_RETENTION) is 0, so that no body is old: say how long they are kept, such as --body-retention 30d")
		}
		return withSession(command.Context(), data, func(s retention.Session) error {
			return runRetention(command.Context(), s, cfg, dryRun, command.OutOrStdout())
		})
	}
	return command
}

// withSession maintains an existing database for one command.
func withSession(ctx context.Context, data flags.Data, use func(retention.Session) error) error {
	return withDatabase(ctx, data, func(db database) error {
		s, err := db.Maintain(ctx)
		if err != nil {
			return err
		}
		return errors.Join(use(s), s.Close())
	})
}

// runRetention removes what is old and prints what that was, also before an error.
func runRetention(ctx context.Context, s retention.Session, cfg retention.Config, dryRun bool, out io.Writer) error {
	now := time.Now()
	before := retention.Before(now, time.Duration(cfg.Keep))
	run, done := retention.Run, "removed"
	if dryRun {
		run, done = retention.DryRun, "would be removed"
	} else if err := s.MakeDays(ctx, now, retention.DaysAhead); err != nil {
		return err
	}
	if cfg.Keep == 0 {
		_, err := fmt.Fprintln(out, "no body is removed: body-retention (BODY_RETENTION) is 0")
		return err
	}
	report, err := run(ctx, s, before)
	return errors.Join(printRetention(out, report, before, done), err)
}

func printRetention(out io.Writer, r retention.Report, before time.Time, done string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DAY\tBODIES\tBYTES")
	for _, day := range slices.SortedFunc(maps.Keys(r.Bodies), time.Time.Compare) {
		fmt.Fprintf(table, "%s\t%d\t%d\n", day.Format(time.DateOnly), r.Bodies[day].Bodies, r.Bodies[day].Bytes)
	}
	fmt.Fprintf(table, "settled dead letters\t%d\t%d\n", r.DeadLetters.Bodies, r.DeadLetters.Bytes)
	if err := table.Flush(); err != nil {
		return err
	}
	sum := r.Bodies.Sum()
	_, err := fmt.Fprintf(out, "%s: %d days before %s, %d bodies, %d bytes\n", done, len(r.Bodies), before.Format(time.DateOnly),
		sum.Bodies+r.DeadLetters.Bodies, sum.Bytes+r.DeadLetters.Bytes)
	return err
}

func newErase() *cobra.Command {
	var data flags.Data
	var by flags.Decision
	var request retention.Request
	command := &cobra.Command{
		Use:   "erase",
		Short: "Erase the data of a person",
		Long: "Erases the id of a user from orders, disputes, events and dead letters, with the bodies of all webhooks\n" +
			"about the orders that name the user, and the text of notes about them. Amounts, statuses and the keys of the\n" +
			"events stay: a webhook that is sent again is a duplicate. That it was done is recorded, with the SHA-256 of the\n" +
			"id. A command that was interrupted is completed when it is run again. This cannot be undone.",
		Args: flags.NoArgs,
	}
	flags.Register(command, &data)
	by.Register(command)
	command.Flags().StringVar(&request.UserID, "user", "", "id of the user, as the webhooks have it")
	command.Flags().BoolVar(&request.DryRun, "dry-run", false, "show what would be erased, and erase nothing")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if request.UserID == "" {
			return errors.New("--user is missing: give the id of the user whose data is to be erased")
		}
		if err := by.Complete(request.DryRun); err != nil {
			return err
		}
		request.By, request.Why = by.By, by.Why
		return withSession(command.Context(), data, func(s retention.Session) error {
			erased, err := retention.Erase(command.Context(), s, request)
			if err != nil {
				return fmt.Errorf("%w (what is done stays so: run the same command again)", err)
			}
			return printErased(command.OutOrStdout(), erased, request.DryRun)
		})
	}
	command.AddCommand(newEraseList())
	return command
}

func printErased(out io.Writer, e retention.Erased, dryRun bool) error {
	done := "erased"
	if dryRun {
		done = "would be erased"
	}
	_, err := fmt.Fprintf(out, "%s: %d orders, %d disputes, %d events, %d bodies, %d dead letters\n",
		done, e.Orders, e.Disputes, e.Events, e.Bodies, e.DeadLetters)
	for _, id := range e.Unreadable {
		_, err = fmt.Fprintf(out, "dead letter %d is not an update, and contains the id: look at it, and discard it if it is about the user; retention removes it then\n", id)
	}
	return err
}

func newEraseList() *cobra.Command {
	var data flags.Data
	command := &cobra.Command{Use: "list", Short: "List the erasures, oldest first", Args: flags.NoArgs}
	flags.Register(command, &data)
	command.RunE = func(command *cobra.Command, _ []string) error {
		return withSession(command.Context(), data, func(s retention.Session) error {
			records, err := retention.Records(command.Context(), s)
			if err != nil {
				return err
			}
			return printRecords(command.OutOrStdout(), records)
		})
	}
	return command
}

func printRecords(out io.Writer, records []retention.Record) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSHA-256 OF THE USER\tSTARTED\tFINISHED\tORDERS\tDISPUTES\tEVENTS\tBODIES\tDEAD LETTERS\tBY\tWHY")
	for _, r := range records {
		finished := "-"
		if !r.Finished.IsZero() {
			finished = r.Finished.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%d\t%x\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%q\t%q\n", r.ID, r.Person, r.Started.Format(time.RFC3339), finished,
			r.Orders, r.Disputes, r.Events, r.Bodies, r.DeadLetters, r.By, r.Why)
	}
	return table.Flush()
}
