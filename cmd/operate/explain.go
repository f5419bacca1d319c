package operate

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/payments"
)

func newExplain(open Open) *cobra.Command {
	explain := &cobra.Command{Use: "explain", Short: "Explain why an order or a dispute has its state"}
	return flags.Group(explain,
		newOfOrder(open, "order ID", "Explain in words why an order has its state",
			"Explains in words why an order has its state, the most important reason first, and what to do next. As JSON or\n"+
				"CSV, shows the same as app orders show.",
			func(command *cobra.Command, named string, answer *payrelayv1.ExplainOrderResponse) error {
				return printExplanation(command.OutOrStdout(), answer.GetSentences(), "app orders show "+named)
			}),
		newOfDispute(open, "dispute ID", "Explain in words why a dispute has its state",
			"Explains in words why a dispute has its state, the most important reason first, and what to do next. As JSON or\n"+
				"CSV, shows the same as app disputes show.",
			func(command *cobra.Command, named string, answer *payrelayv1.ExplainDisputeResponse) error {
				return printExplanation(command.OutOrStdout(), answer.GetSentences(), "app disputes show "+named)
			}))
}

// quotedArg returns a text as one word of a shell.
func quotedArg(text string) string {
	plain := text != ""
	for _, r := range text {
		plain = plain && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:", r))
	}
	if plain {
		return text
	}
	return "'" + strings.ReplaceAll(printable(text), "'", `'\''`) + "'"
}

// printExplanation prints the sentences, which name each open dead letter and the commands
// that settle it, and the command that shows the timeline.
func printExplanation(out io.Writer, sentences []string, timeline string) error {
	for _, sentence := range sentences {
		fmt.Fprintln(out, printable(sentence))
	}
	_, err := fmt.Fprintf(out, "\ntimeline: %s\n", timeline)
	return err
}

// printOrder prints the state of an order, and its timeline.
func printOrder(out io.Writer, answer *payrelayv1.ExplainOrderResponse) error {
	if o := answer.GetOrder(); o == nil {
		fmt.Fprintln(out, "the order has no state: none of its events was applied")
	} else if err := printFields(out, [][2]string{
		{"order", o.GetOrderId()},
		{"status", payments.OrderStatuses.Name(o.GetStatus())},
		{"view", o.GetView()},
		{"user", o.GetUserId()},
		{"amount", amount(o.GetAmount())},
		{"authorized", amount(o.GetAuthorized())},
		{"captured", amount(o.GetCaptured())},
		{"refunded", amount(o.GetRefunded())},
		{"flags", strings.Join(o.GetFlags(), ",")},
		{"created", clock(o.GetCreatedAt())},
		{"updated", clock(o.GetUpdatedAt())},
	}); err != nil {
		return err
	}
	if disputes := answer.GetDisputes(); len(disputes) > 0 {
		fmt.Fprintln(out)
		table := newTable(out)
		fmt.Fprintln(table, strings.Join(disputeColumns, "\t"))
		for _, d := range disputes {
			fmt.Fprintln(table, strings.Join(cellsOf(disputeCells(d)), "\t"))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return printHistory(out, answer.GetTimeline(), answer.GetEarlier(), answer.GetDeadLetters())
}

// printDispute prints the state of a dispute, and its timeline.
func printDispute(out io.Writer, answer *payrelayv1.ExplainDisputeResponse) error {
	if d := answer.GetDispute(); d == nil {
		fmt.Fprintln(out, "the dispute has no state: none of its events was applied")
	} else if err := printFields(out, [][2]string{
		{"dispute", d.GetDisputeId()},
		{"source", d.GetSource()},
		{"order", d.GetOrderId()},
		{"stage", payments.DisputeStages.Name(d.GetStage())},
		{"status", payments.DisputeStatuses.Name(d.GetStatus())},
		{"reopened", strconv.Itoa(int(d.GetReopened()))},
		{"user", d.GetUserId()},
		{"reason", d.GetReason()},
		{"amount", amount(d.GetAmount())},
		{"outcome amount", amount(d.GetOutcomeAmount())},
		{"evidence due", clock(d.GetEvidenceDueAt())},
		{"flags", strings.Join(d.GetFlags(), ",")},
		{"opened", clock(d.GetOpenedAt())},
		{"updated", clock(d.GetUpdatedAt())},
	}); err != nil {
		return err
	}
	return printHistory(out, answer.GetTimeline(), answer.GetEarlier(), answer.GetDeadLetters())
}

// printHistory prints a timeline and the open dead letters.
func printHistory(out io.Writer, timeline []*payrelayv1.TimelineEntry, earlier int64, letters []*payrelayv1.DeadLetter) error {
	fmt.Fprintln(out)
	if earlier > 0 {
		fmt.Fprintf(out, "%d earlier events are not shown\n", earlier)
	}
	table := newTable(out)
	fmt.Fprintln(table, strings.Join(timelineColumns, "\t"))
	for _, e := range timeline {
		fmt.Fprintln(table, strings.Join(cellsOf(timelineCells(e)[:len(timelineColumns)]), "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(letters) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	table = newTable(out)
	fmt.Fprintln(table, "DEAD LETTER\tREASON\tEVENT\tSINCE\tDETAIL")
	for _, d := range letters {
		fmt.Fprintln(table, strings.Join(cellsOf([]string{
			strconv.FormatInt(d.GetId(), 10), payments.DeadLetterReasons.Name(d.GetReason()), d.GetEventId(), clock(d.GetCreatedAt()), d.GetDetail(),
		}), "\t"))
	}
	return table.Flush()
}

func cellsOf(texts []string) []string {
	cells := make([]string, len(texts))
	for i, text := range texts {
		cells[i] = cell(text)
	}
	return cells
}

var timelineColumns = []string{"TIME", "SOURCE", "EVENT", "REPORTS", "VERDICT", "STATUS", "WHY"}

func timelineCells(e *payrelayv1.TimelineEntry) []string {
	u := e.GetEvent().GetUpdate()
	status := e.GetStatusAfter()
	if before := e.GetStatusBefore(); before != status {
		status = cmp.Or(before, "none") + " -> " + cmp.Or(status, "none")
	}
	return []string{
		clock(u.GetOccurredAt()), u.GetProvider(), u.GetEventId(), reports(u), outcome(e.GetEvent().GetOutcome()), status, e.GetWhy(),
		strconv.FormatInt(e.GetEvent().GetSequence(), 10), u.GetOrderId(), u.GetDispute().GetDisputeId(), strconv.FormatBool(e.GetLate()),
		strconv.FormatBool(e.GetEvent().GetForced()), strconv.FormatBool(e.GetEvent().GetDiscarded()), clock(e.GetEvent().GetRecordedAt()),
		u.GetRequestId(), hex.EncodeToString(u.GetBodySha256()),
	}
}

// reports returns what an update reports, such as "dispute d-1 won".
func reports(u *payrelayv1.Update) string {
	known := func(name, words string) string {
		if name == "" {
			return words
		}
		return name
	}
	switch {
	case u.GetOrder() != nil:
		return known(payments.OrderStatuses.Name(u.GetOrder().GetStatus()), u.GetOrder().GetProviderStatus())
	case u.GetDispute() != nil:
		return "dispute " + u.GetDispute().GetDisputeId() + " " + known(payments.DisputeStatuses.Name(u.GetDispute().GetStatus()), u.GetDispute().GetProviderStatus())
	case u.GetNote() != nil:
		return "note " + u.GetNote().GetKind()
	default:
		return ""
	}
}

// printTimeline prints a timeline as CSV.
func printTimeline(format output, command *cobra.Command, timeline []*payrelayv1.TimelineEntry) error {
	p := format.printer(command, "events", timelineColumns, "SEQUENCE", "ORDER", "DISPUTE", "LATE", "FORCED", "DISCARDED", "RECORDED", "REQUEST ID", "BODY SHA256")
	for _, e := range timeline {
		if err := p.item(timelineCells(e), api.TimelineJSON(e)); err != nil {
			return err
		}
	}
	return p.finish(int64(len(timeline)), "")
}
