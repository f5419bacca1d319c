package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/payments"
)

// replayBatch is the number of dead letters that are read at a time. Each is judged
// in its own transaction, so that a webhook waits for at most one.
const replayBatch = 100

// replay selects the dead letters to judge again: one by its id, or the open ones of
// a query.
type replay struct {
	flags.Decision
	id     int64
	query  payments.DeadLetterQuery
	dryRun bool
}

func newDeadLettersReplay(open Open) *cobra.Command {
	var data flags.Data
	var r replay
	var reasons, sources []string
	var from, to string
	command := &cobra.Command{
		Use:   "replay [ID]",
		Short: "Try to apply dead letters again",
		Long: "Judges a dead letter again. It is applied if its reason no longer holds: its time has passed, this\n" +
			"release knows its status, or the rules have changed. Without an ID, judges all open dead letters that\n" +
			"the filters select, oldest first. A dead letter that still cannot be applied stays open.",
		Args: cobra.ArbitraryArgs,
	}
	flags.Register(command, &data)
	r.Decision.Register(command)
	command.Flags().StringSliceVar(&reasons, "reason", nil, "replay dead letters with this reason; separate several with commas")
	command.Flags().StringSliceVar(&sources, "source", nil, "replay dead letters from this source; separate several with commas")
	command.Flags().StringVar(&from, "from", "", "replay dead letters since this time, such as 2026-01-04T10:00:00Z")
	command.Flags().StringVar(&to, "to", "", "replay dead letters before this time, by default now")
	command.Flags().BoolVar(&r.dryRun, "dry-run", false, "show the verdict that a replay of each dead letter alone would give, and write nothing")
	command.RunE = func(command *cobra.Command, args []string) error {
		filtered := len(reasons)+len(sources)+len(from)+len(to) > 0
		var err error
		switch {
		case len(args) > 0 && filtered:
			return errors.New("an ID and filters cannot be combined: name one dead letter by its ID, or select several with --reason, --source, --from and --to")
		case len(args) == 0 && !filtered:
			return errors.New("nothing is selected: name one dead letter by its ID, or select several with --reason, --source, --from and --to")
		case filtered:
			r.query, err = replayQuery(reasons, sources, from, to)
		default:
			r.id, err = deadLetterID(args)
		}
		if err != nil {
			return err
		}
		if err := r.Complete(true); err != nil {
			return err
		}
		return open(command.Context(), data, func(db Database) error {
			return r.run(command.Context(), db, command.OutOrStdout())
		})
	}
	return command
}

func replayQuery(reasons, sources []string, from, to string) (payments.DeadLetterQuery, error) {
	q := payments.DeadLetterQuery{Sources: sources, To: time.Now(), Limit: replayBatch}
	for _, name := range reasons {
		reason, known := payments.DeadLetterReasons.Parse(name)
		if !known {
			return q, fmt.Errorf("--reason is %q: choose from %s", name, strings.Join(payments.DeadLetterReasons.All(), ", "))
		}
		q.Reasons = append(q.Reasons, reason)
	}
	for _, bound := range []struct {
		flag, text string
		at         *time.Time
	}{{"from", from, &q.From}, {"to", to, &q.To}} {
		if bound.text == "" {
			continue
		}
		at, err := payments.ParseTime(bound.text)
		if err != nil {
			return q, fmt.Errorf("--%s is %q: write an RFC 3339 time, such as 2026-01-04T10:00:00Z", bound.flag, bound.text)
		}
		*bound.at = at
	}
	if !q.From.Before(q.To) {
		return q, errors.New("--from must be earlier than --to, which is now by default")
	}
	return q, nil
}

// run replays the selected dead letters and prints the verdicts.
func (r replay) run(ctx context.Context, store Database, out io.Writer) error {
	ledger := payments.NewLedger(store)
	if r.id != 0 {
		verdict, err := r.judge(ctx, ledger, r.id)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, verdict)
		return err
	}
	// counts is the number of dead letters with each verdict, including skipped ones.
	all, counts := 0, make(map[string]int)
	for {
		letters, err := store.DeadLetters(ctx, r.query)
		if err != nil {
			return fmt.Errorf("read dead letters after %d replayed: %w", all, err)
		}
		for _, d := range letters {
			verdict, err := r.judge(ctx, ledger, d.ID)
			switch {
			case errors.Is(err, payments.ErrNotJudgeable):
				verdict = "skipped: it is not an update that can be judged"
			case errors.Is(err, payments.ErrPanic):
				verdict = "skipped: " + payments.ErrPanic.Error()
			case errors.Is(err, payments.ErrSettled), errors.Is(err, payments.ErrNotFound):
				verdict = "skipped: another operator settled it"
			case err != nil:
				return fmt.Errorf("stopped after %d: %w", all, err)
			}
			all++
			counts[verdict]++
			fmt.Fprintf(out, "%d  %s\n", d.ID, verdict)
		}
		if len(letters) < r.query.Limit {
			break
		}
		r.query.AfterID = letters[len(letters)-1].ID
	}
	_, err := fmt.Fprint(out, r.summary(all, counts))
	return err
}

// summary returns the number of judged dead letters, and the number with each verdict.
func (r replay) summary(all int, counts map[string]int) string {
	text := fmt.Sprintf("%d replayed\n", all)
	if r.dryRun {
		text = fmt.Sprintf("%d judged, and nothing written\n", all)
	}
	for _, verdict := range slices.Sorted(maps.Keys(counts)) {
		text += fmt.Sprintf("  %d %s\n", counts[verdict], verdict)
	}
	return text
}

// judge returns the verdict about one dead letter.
func (r replay) judge(ctx context.Context, ledger *payments.Ledger, id int64) (string, error) {
	if r.dryRun {
		outcome, err := ledger.Judge(ctx, id)
		return describeOutcome(outcome), err
	}
	outcome, err := ledger.Replay(ctx, id, r.By, r.Why)
	return describeOutcome(outcome), err
}
