package operate

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/payments"
)

func newDisputes(open Open) *cobra.Command {
	disputes := &cobra.Command{Use: "disputes", Short: "List and show disputes"}
	return flags.Group(disputes, newDisputesList(open), newDisputesShow(open))
}

var disputeColumns = []string{"DISPUTE", "SOURCE", "ORDER", "STAGE", "STATUS", "AMOUNT", "EVIDENCE DUE", "FLAGS", "OPENED", "UPDATED"}

func disputeCells(d *payrelayv1.Dispute) []string {
	return []string{
		d.GetDisputeId(), d.GetSource(), d.GetOrderId(), payments.DisputeStages.Name(d.GetStage()), payments.DisputeStatuses.Name(d.GetStatus()),
		amount(d.GetAmount()), clock(d.GetEvidenceDueAt()), strings.Join(d.GetFlags(), ","), clock(d.GetOpenedAt()), clock(d.GetUpdatedAt()),
	}
}

// disputeSelection selects disputes.
type disputeSelection struct {
	sources, disputes, orders, users, statuses []string
	period
	dueFrom, dueTo string
}

func (s *disputeSelection) register(command *cobra.Command) {
	command.Flags().StringSliceVar(&s.sources, "source", nil, "select disputes from this source; separate several with commas")
	ids(command, &s.disputes, "dispute", "select disputes with this ID")
	ids(command, &s.orders, "order", "select disputes of this order")
	ids(command, &s.users, "user", "select disputes of this user")
	command.Flags().StringSliceVar(&s.statuses, "status", nil, "select disputes with this status; separate several with commas")
	flags.Choose(command, "status", payments.DisputeStatuses.All())
	s.period.register(command, "disputes opened")
	command.Flags().StringVar(&s.dueFrom, "due-from", "", "select disputes whose evidence is due at this time or later"+aheadForms)
	command.Flags().StringVar(&s.dueTo, "due-to", "", "select disputes whose evidence is due before this time"+aheadForms)
}

func (s *disputeSelection) request(now time.Time) (*payrelayv1.ListDisputesRequest, error) {
	r := &payrelayv1.ListDisputesRequest{Sources: s.sources, DisputeIds: s.disputes, OrderIds: s.orders, UserIds: s.users}
	var err error
	if r.Statuses, err = values("status", s.statuses, payments.DisputeStatuses); err != nil {
		return nil, err
	}
	if r.TimeFrom, r.TimeTo, err = s.times(now); err != nil {
		return nil, err
	}
	if r.DueFrom, err = bound("due-from", s.dueFrom, now, ahead); err != nil {
		return nil, err
	}
	r.DueTo, err = bound("due-to", s.dueTo, now, ahead)
	return r, err
}

func newDisputesList(open Open) *cobra.Command {
	on := target{open: open}
	var selected disputeSelection
	var page paging
	var format output
	command := &cobra.Command{Use: "list", Short: "List disputes, newest first", Args: flags.NoArgs}
	flags.Register(command, &on)
	selected.register(command)
	page.register(command, "disputes", true)
	format.register(command, "table")
	command.RunE = func(command *cobra.Command, _ []string) error {
		request, err := selected.request(time.Now())
		if err := errors.Join(err, page.validate(), format.validate()); err != nil {
			return err
		}
		return on.use(command.Context(), func(service Service) error {
			out, shown := format.printer(command, "disputes", disputeColumns, "USER", "REASON", "REOPENED", "OUTCOME AMOUNT"), 0
			next, err := page.each(func(p *payrelayv1.Page) (int, string, error) {
				request.Page = p
				answer, err := service.ListDisputes(command.Context(), request)
				if err != nil {
					return 0, "", fmt.Errorf("list disputes: %w", err)
				}
				for _, d := range answer.GetDisputes() {
					cells := append(disputeCells(d), d.GetUserId(), d.GetReason(), fmt.Sprint(d.GetReopened()), amount(d.GetOutcomeAmount()))
					if err := out.item(cells, api.DisputeJSON(d)); err != nil {
						return 0, "", err
					}
				}
				shown += len(answer.GetDisputes())
				return len(answer.GetDisputes()), answer.GetNextCursor(), nil
			})
			if err != nil {
				return err
			}
			return out.finish(page.total(shown, next), next)
		})
	}
	return command
}

func newDisputesShow(open Open) *cobra.Command {
	return newOfDispute(open, "show ID", "Show a dispute: its state, and its timeline with the reason for each verdict",
		"Shows a dispute: its state, its open dead letters, and its timeline, in which each event has its verdict and\n"+
			"the reason for it. As CSV, shows the timeline only.",
		func(command *cobra.Command, _ string, answer *payrelayv1.ExplainDisputeResponse) error {
			return printDispute(command.OutOrStdout(), answer)
		})
}

// newOfDispute returns a command that shows the explanation of a dispute. Named is the
// dispute as arguments of a shell.
func newOfDispute(open Open, use, short, long string, show func(command *cobra.Command, named string, answer *payrelayv1.ExplainDisputeResponse) error) *cobra.Command {
	on := target{open: open}
	var format output
	var source string
	command := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs}
	flags.Register(command, &on)
	format.register(command, "table")
	command.Flags().StringVar(&source, "source", "", "source of the dispute, if several sources have one with this ID")
	command.RunE = func(command *cobra.Command, args []string) error {
		id, err := oneID(args, "dispute")
		if err := errors.Join(err, format.validate()); err != nil {
			return err
		}
		return on.use(command.Context(), func(service Service) error {
			answer, err := service.ExplainDispute(command.Context(), &payrelayv1.ExplainDisputeRequest{DisputeId: id, Source: source})
			switch {
			case connect.CodeOf(err) == connect.CodeNotFound && source != "":
				return nothing("dispute " + cell(id) + " of " + cell(source))
			case connect.CodeOf(err) == connect.CodeNotFound:
				return nothing("dispute " + cell(id))
			case err != nil:
				return fmt.Errorf("show dispute %s: %w", cell(id), err)
			case format.format == "json":
				return printJSON(command.OutOrStdout(), api.ExplainedDisputeJSON(answer))
			case format.format == "csv":
				return printTimeline(format, command, answer.GetTimeline())
			default:
				named := quotedArg(id)
				if source != "" {
					named += " --source " + quotedArg(source)
				}
				return show(command, named, answer)
			}
		})
	}
	return command
}
