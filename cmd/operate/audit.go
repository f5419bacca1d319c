package operate

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/api"
)

func newAudit(open Open) *cobra.Command {
	audit := &cobra.Command{Use: "audit", Short: "Show what operators did, and why"}
	return flags.Group(audit,
		newAuditLog(open, "list", "List what operators did, newest first", "table", paging{}),
		newAuditLog(open, "export", "Write the whole audit log, oldest first, by default as CSV", "csv", paging{ascending: true}))
}

// auditSelection selects entries of the audit log.
type auditSelection struct {
	actions, orders []string
	period
}

func (s *auditSelection) register(command *cobra.Command) {
	command.Flags().StringSliceVar(&s.actions, "action", nil, "select entries of this action; separate several with commas")
	flags.Choose(command, "action", []string{"replay", "accept", "discard", "read_body", "rederive", "erase"})
	ids(command, &s.orders, "order", "select entries about this order")
	s.period.register(command, "entries")
}

// newAuditLog returns a command that shows the audit log. Export has no pages.
func newAuditLog(open Open, name, short, standard string, page paging) *cobra.Command {
	on := target{open: open}
	var selected auditSelection
	var format output
	command := &cobra.Command{Use: name, Short: short, Args: flags.NoArgs}
	flags.Register(command, &on)
	selected.register(command)
	if name == "list" {
		page.register(command, "entries", true)
	}
	format.register(command, standard)
	command.RunE = func(command *cobra.Command, _ []string) error {
		from, to, err := selected.times(time.Now())
		if err := errors.Join(err, page.validate(), format.validate()); err != nil {
			return err
		}
		request := &payrelayv1.ListAuditRequest{TimeFrom: from, TimeTo: to, Actions: selected.actions, OrderIds: selected.orders}
		return on.use(command.Context(), func(service Service) error {
			out, shown := format.printer(command, "entries", []string{"ID", "TIME", "WHO", "ACTION", "TARGET", "ORDER", "BEFORE", "AFTER", "WHY"}), 0
			next, err := page.each(func(p *payrelayv1.Page) (int, string, error) {
				request.Page = p
				answer, err := service.ListAudit(command.Context(), request)
				if err != nil {
					return 0, "", fmt.Errorf("read the audit log: %w", err)
				}
				for _, e := range answer.GetEntries() {
					cells := []string{
						strconv.FormatInt(e.GetId(), 10), clock(e.GetAt()), e.GetWho(), e.GetAction(), e.GetTarget(), e.GetOrderId(),
						e.GetBefore(), e.GetAfter(), e.GetWhy(),
					}
					if err := out.item(cells, api.AuditJSON(e)); err != nil {
						return 0, "", err
					}
				}
				shown += len(answer.GetEntries())
				return len(answer.GetEntries()), answer.GetNextCursor(), nil
			})
			if err != nil {
				return err
			}
			return out.finish(page.total(shown, next), next)
		})
	}
	return command
}
