package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// action is what a command does with dead letters.
type action struct {
	// name is that of the command, and done its past participle.
	name, done string
	call       func(ctx context.Context, service Service, s *payrelayv1.Selection, d *payrelayv1.Decision, dry bool) (*payrelayv1.ActionReport, error)
}

func newReplay(open Open) *cobra.Command {
	return newAction(open, "Try to apply dead letters again",
		"Judges dead letters again. A dead letter is applied if its reason no longer holds: its time has passed, this\n"+
			"release knows its status, or the rules have changed. One that still cannot be applied stays open.",
		action{"replay", "replayed", func(ctx context.Context, service Service, s *payrelayv1.Selection, d *payrelayv1.Decision, dry bool) (*payrelayv1.ActionReport, error) {
			answer, err := service.ReplayDeadLetters(ctx, &payrelayv1.ReplayDeadLettersRequest{Selection: s, Decision: d, DryRun: dry})
			return answer.GetReport(), err
		}})
}

func newAccept(open Open) *cobra.Command {
	return newAction(open, "Apply dead letters although they contradict their history",
		"Applies dead letters although they contradict the history of their order or dispute. Each takes effect at\n"+
			"its own position in the history, regardless of later updates.",
		action{"accept", "accepted", func(ctx context.Context, service Service, s *payrelayv1.Selection, d *payrelayv1.Decision, dry bool) (*payrelayv1.ActionReport, error) {
			answer, err := service.AcceptDeadLetters(ctx, &payrelayv1.AcceptDeadLettersRequest{Selection: s, Decision: d, DryRun: dry})
			return answer.GetReport(), err
		}})
}

func newDiscard(open Open) *cobra.Command {
	return newAction(open, "Settle dead letters without applying them",
		"Settles dead letters without applying them. The same update is a duplicate if it is sent again.",
		action{"discard", "discarded", func(ctx context.Context, service Service, s *payrelayv1.Selection, d *payrelayv1.Decision, dry bool) (*payrelayv1.ActionReport, error) {
			answer, err := service.DiscardDeadLetters(ctx, &payrelayv1.DiscardDeadLettersRequest{Selection: s, Decision: d, DryRun: dry})
			return answer.GetReport(), err
		}})
}

// settlement is one run of an action.
type settlement struct {
	action
	ids      []int64
	filter   *payrelayv1.DeadLetterFilter // nil if the dead letters are named by their ids
	decision flags.Decision
	dry, yes bool
	format   output
	terminal bool // whether a person reads the progress
}

func newAction(open Open, short, long string, a action) *cobra.Command {
	on := target{open: open}
	s := settlement{action: a}
	var selected filter
	var all bool
	command := &cobra.Command{
		Use:   a.name + " [ID...]",
		Short: short,
		Long: long + "\n\n" +
			"Names the dead letters by their IDs, or selects open ones by filters or with --all, oldest first. The\n" +
			"exit code is 3 if some of them stay open or are skipped, such as those that are already settled. The exit\n" +
			"code of a dry run is always 0.",
		Args: cobra.ArbitraryArgs,
	}
	flags.Register(command, &on)
	selected.register(command)
	s.decision.Register(command)
	s.format.register(command, "table")
	command.Flags().BoolVar(&all, "all", false, a.name+" every open dead letter that the filters select")
	command.Flags().BoolVar(&s.dry, "dry-run", false, "show what would happen to each dead letter on its own, and write nothing")
	command.Flags().BoolVar(&s.yes, "yes", false, "settle the dead letters that a filter selects; without it, more than one is refused")
	command.RunE = func(command *cobra.Command, args []string) error {
		filtered := selected.given() || all
		switch {
		case len(args) > 0 && filtered:
			return flags.Usagef("IDs and filters cannot be combined: name dead letters by their IDs, or select them with --reason, --source, --kind, --order, --from, --to, --text or --all")
		case len(args) == 0 && !filtered:
			return flags.Usagef("nothing is selected: name dead letters by their IDs, or select them with --reason, --source, --kind, --order, --from, --to, --text or --all")
		}
		var err error
		if s.ids, err = deadLetterIDs(args); err != nil {
			return err
		}
		if filtered {
			if s.filter, err = selected.message(); err != nil {
				return err
			}
			if !selected.given() {
				s.filter.TimeFrom = &timestamppb.Timestamp{} // the service refuses an empty filter
			}
		}
		if err := errors.Join(s.format.validate(), s.decision.Complete(s.dry)); err != nil {
			return err
		}
		s.terminal = isTerminal(command.ErrOrStderr())
		return on.use(command.Context(), func(service Service) error { return s.run(command, service) })
	}
	return command
}

// isTerminal reports whether a person sees what is written.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// run settles the dead letters and prints what became of them.
func (s *settlement) run(command *cobra.Command, service Service) error {
	if s.filter != nil && !s.dry && !s.yes {
		if err := s.confirm(command, service); err != nil {
			return err
		}
	}
	t := &tally{verdicts: make(map[string]int)}
	list := s.list(command, service)
	err := s.each(command.Context(), service, func(report *payrelayv1.ActionReport) error {
		for _, result := range report.GetResults() {
			t.add(s.settled(result), s.words(result), result)
			if err := list.add(result); err != nil {
				return err
			}
		}
		if s.terminal && s.filter != nil {
			fmt.Fprintf(command.ErrOrStderr(), "\r%d of %d", t.all, int64(t.all)+report.GetRemaining())
		}
		return nil
	})
	if s.terminal && s.filter != nil {
		fmt.Fprintln(command.ErrOrStderr())
	}
	if err != nil {
		return fmt.Errorf("stopped after %d dead letters: %w (what was done is kept: run the same command again)", t.all, err)
	}
	if err := list.finish(t); err != nil || s.dry {
		return err
	}
	return t.refused()
}

// confirm refuses to change more than one dead letter unasked.
func (s *settlement) confirm(command *cobra.Command, service Service) error {
	counts, err := service.CountDeadLetters(command.Context(), &payrelayv1.CountDeadLettersRequest{Filter: s.filter})
	if err != nil {
		return fmt.Errorf("count the dead letters: %w", err)
	}
	if counts.GetTotal() <= 1 {
		return nil
	}
	for _, c := range counts.GetCounts() {
		fmt.Fprintf(command.ErrOrStderr(), "%6d %s from %s\n", c.GetCount(), payments.DeadLetterReasons.Name(c.GetReason()), cell(c.GetSource()))
	}
	return flags.Usagef("%d dead letters are selected: add --yes to settle them, or --dry-run to see what would happen", counts.GetTotal())
}

// each calls the service until all selected dead letters are handled. A dead letter that
// came after the first call takes no part.
func (s *settlement) each(ctx context.Context, service Service, use func(*payrelayv1.ActionReport) error) error {
	if s.filter == nil {
		for ids := range slices.Chunk(s.ids, 500) {
			report, err := s.call(ctx, service, &payrelayv1.Selection{Ids: ids}, s.decision.Message(), s.dry)
			if err == nil {
				err = use(report)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	selection := &payrelayv1.Selection{Filter: s.filter}
	for {
		report, err := s.call(ctx, service, selection, s.decision.Message(), s.dry)
		if err != nil {
			return err
		}
		if err := use(report); err != nil || report.GetNextAfterId() == 0 {
			return err
		}
		selection.AfterId, selection.UpToId = report.GetNextAfterId(), report.GetUpToId()
	}
}
