package operate

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/payments"
)

// noneMatches is printed if a filter selects nothing.
const noneMatches = "no open dead letter matches"

// verdict returns the result of the action for a dead letter.
func (s *settlement) verdict(r *payrelayv1.ActionResult) string {
	switch {
	case r.GetSkipped() != "":
		return "skipped: " + r.GetSkipped()
	case r.GetOutcome() == nil:
		return s.done
	default:
		return outcome(r.GetOutcome())
	}
}

// words returns the verdict, in the conditional for a dry run.
func (s *settlement) words(r *payrelayv1.ActionResult) string {
	verdict := s.verdict(r)
	if !s.dry {
		return verdict
	}
	switch r.GetOutcome().GetVerdict() {
	case payrelayv1.Verdict_VERDICT_DEAD_LETTERED:
		return "would stay open: " + payments.DeadLetterReasons.Name(r.GetOutcome().GetReason())
	case payrelayv1.Verdict_VERDICT_DUPLICATE:
		return "would be a duplicate"
	default:
		return "would be " + verdict
	}
}

// settled reports whether a dead letter is now settled, or would be.
func (s *settlement) settled(r *payrelayv1.ActionResult) bool {
	return r.GetSkipped() == "" && r.GetOutcome().GetVerdict() != payrelayv1.Verdict_VERDICT_DEAD_LETTERED
}

// maxListed is the largest number of dead letters in the table of a dry run.
const maxListed = 100

// letterList prints the result for each dead letter. As a table, an action by a filter prints
// only the counts, unless it is a dry run.
type letterList struct {
	*settlement
	command *cobra.Command
	service Service
	printer printer
	table   bool
	rows    int
	// selected are the first dead letters of the filter, by their id; nil before they are
	// read.
	selected map[int64]*payrelayv1.DeadLetter
}

func (s *settlement) list(command *cobra.Command, service Service) *letterList {
	l := &letterList{settlement: s, command: command, service: service, table: s.format.format == "table"}
	columns := []string{"ID", "VERDICT"}
	if l.table && s.dry {
		columns = []string{"ID", "KIND", "ORDER", "DISPUTE", "REASON", "VERDICT"}
	}
	l.printer = s.format.printer(command, "dead letters", columns)
	return l
}

func (l *letterList) add(r *payrelayv1.ActionResult) error {
	cells := []string{strconv.FormatInt(r.GetId(), 10), l.verdict(r)}
	switch {
	case l.table && l.dry:
		if l.rows++; l.rows > maxListed {
			return nil
		}
		d, err := l.letter(l.command.Context(), r.GetId())
		if err != nil {
			return fmt.Errorf("read dead letter %d: %w", r.GetId(), err)
		}
		cells = []string{cells[0], d.GetKind(), d.GetOrderId(), d.GetDisputeId(), payments.DeadLetterReasons.Name(d.GetReason()), l.words(r)}
	case l.table && l.filter != nil:
		return nil
	}
	return l.printer.item(cells, api.ResultJSON(r))
}

// letter returns a dead letter of the dry run, or nil if there is none with the id.
func (l *letterList) letter(ctx context.Context, id int64) (*payrelayv1.DeadLetter, error) {
	if l.filter != nil && l.selected == nil {
		page := &payrelayv1.Page{Limit: maxListed, Ascending: true}
		answer, err := l.service.ListDeadLetters(ctx, &payrelayv1.ListDeadLettersRequest{Filter: l.filter, Page: page})
		if err != nil {
			return nil, err
		}
		l.selected = make(map[int64]*payrelayv1.DeadLetter)
		for _, d := range answer.GetDeadLetters() {
			l.selected[d.GetId()] = d
		}
	}
	if d := l.selected[id]; d != nil {
		return d, nil
	}
	answer, err := l.service.GetDeadLetter(ctx, &payrelayv1.GetDeadLetterRequest{Id: id})
	if connect.CodeOf(err) == connect.CodeNotFound {
		return nil, nil
	}
	return answer.GetDeadLetter(), err
}

// finish ends the list, and prints the counts.
func (l *letterList) finish(t *tally) error {
	out := l.command.OutOrStdout()
	switch {
	case !l.table:
		if err := l.printer.finish(int64(t.all), ""); err != nil {
			return err
		}
		out = l.command.ErrOrStderr()
	case t.all == 0:
	case !l.dry && len(l.ids) == 1:
		_, err := fmt.Fprintln(out, l.verdict(t.last))
		return err
	case l.dry || l.filter == nil:
		if err := l.printer.(*tablePrinter).table.Flush(); err != nil {
			return err
		}
		if more := l.rows - maxListed; more > 0 {
			fmt.Fprintf(out, "… and %d more\n", more)
		}
		fmt.Fprintln(out)
	}
	_, err := io.WriteString(out, t.summary(l.settlement))
	return err
}

// tally counts the results of an action.
type tally struct {
	all, open, skipped int
	verdicts           map[string]int
	last               *payrelayv1.ActionResult
}

func (t *tally) add(settled bool, verdict string, r *payrelayv1.ActionResult) {
	t.all++
	t.last = r
	switch {
	case r.GetSkipped() != "":
		t.skipped++
		verdict, _, _ = strings.Cut(verdict, ":")
	case !settled:
		t.open++
	}
	t.verdicts[verdict]++
}

// summary returns the number of dead letters, and that with each verdict.
func (t *tally) summary(s *settlement) string {
	text := fmt.Sprintf("%d %s\n", t.all, s.done)
	switch {
	case t.all == 0:
		return noneMatches + "\n"
	case s.dry:
		text = fmt.Sprintf("%d judged, and nothing written\n", t.all)
	}
	for _, verdict := range slices.Sorted(maps.Keys(t.verdicts)) {
		text += fmt.Sprintf("  %d %s\n", t.verdicts[verdict], verdict)
	}
	return text
}

// refused returns an error if dead letters stay open or were skipped.
func (t *tally) refused() error {
	var err error
	switch {
	case t.open == 0 && t.skipped == 0:
		return nil
	case t.all == 1 && t.skipped == 1:
		err = fmt.Errorf("dead letter %d was skipped: %s", t.last.GetId(), t.last.GetSkipped())
	case t.open == 0:
		err = fmt.Errorf("%d of %d were skipped", t.skipped, t.all)
	case t.skipped == 0:
		err = fmt.Errorf("%d of %d stay open", t.open, t.all)
	default:
		err = fmt.Errorf("%d of %d stay open, and %d were skipped", t.open, t.all, t.skipped)
	}
	return flags.WithExit(flags.ExitDifferences, err)
}
