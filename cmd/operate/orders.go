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

func newOrders(open Open) *cobra.Command {
	orders := &cobra.Command{Use: "orders", Short: "List and show orders"}
	return flags.Group(orders, newOrdersList(open), newOrdersShow(open))
}

var orderColumns = []string{"ORDER", "STATUS", "USER", "AMOUNT", "CAPTURED", "REFUNDED", "FLAGS", "CREATED", "UPDATED"}

func orderCells(o *payrelayv1.Order) []string {
	return []string{
		o.GetOrderId(), o.GetView(), o.GetUserId(), amount(o.GetAmount()), amount(o.GetCaptured()), amount(o.GetRefunded()),
		strings.Join(o.GetFlags(), ","), clock(o.GetCreatedAt()), clock(o.GetUpdatedAt()),
	}
}

// orderSelection selects orders.
type orderSelection struct {
	orders, users, statuses []string
	period
}

func (s *orderSelection) register(command *cobra.Command) {
	ids(command, &s.orders, "order", "select the order with this ID")
	ids(command, &s.users, "user", "select orders of this user")
	command.Flags().StringSliceVar(&s.statuses, "status", nil, "select orders with this status; separate several with commas")
	flags.Choose(command, "status", payments.OrderStatuses.All())
	s.period.register(command, "orders created")
}

func (s *orderSelection) request() (*payrelayv1.ListOrdersRequest, error) {
	statuses, err := values("status", s.statuses, payments.OrderStatuses)
	if err != nil {
		return nil, err
	}
	from, to, err := s.times(time.Now())
	return &payrelayv1.ListOrdersRequest{OrderIds: s.orders, UserIds: s.users, Statuses: statuses, TimeFrom: from, TimeTo: to}, err
}

func newOrdersList(open Open) *cobra.Command {
	on := target{open: open}
	var selected orderSelection
	var page paging
	var format output
	command := &cobra.Command{Use: "list", Short: "List orders, newest first", Args: flags.NoArgs}
	flags.Register(command, &on)
	selected.register(command)
	page.register(command, "orders", true)
	format.register(command, "table")
	command.RunE = func(command *cobra.Command, _ []string) error {
		request, err := selected.request()
		if err := errors.Join(err, page.validate(), format.validate()); err != nil {
			return err
		}
		return on.use(command.Context(), func(service Service) error {
			out, shown := format.printer(command, "orders", orderColumns), 0
			next, err := page.each(func(p *payrelayv1.Page) (int, string, error) {
				request.Page = p
				answer, err := service.ListOrders(command.Context(), request)
				if err != nil {
					return 0, "", fmt.Errorf("list orders: %w", err)
				}
				for _, o := range answer.GetOrders() {
					if err := out.item(orderCells(o), api.OrderJSON(o)); err != nil {
						return 0, "", err
					}
				}
				shown += len(answer.GetOrders())
				return len(answer.GetOrders()), answer.GetNextCursor(), nil
			})
			if err != nil {
				return err
			}
			return out.finish(page.total(shown, next), next)
		})
	}
	return command
}

// oneID returns the only argument.
func oneID(args []string, what string) (string, error) {
	if len(args) != 1 || args[0] == "" {
		return "", flags.Usagef("name one %s by its ID", what)
	}
	return args[0], nil
}

func newOrdersShow(open Open) *cobra.Command {
	return newOfOrder(open, "show ID", "Show an order: its state, its disputes, and its timeline with the reason for each verdict",
		"Shows an order: its state, its disputes, its open dead letters, and its timeline, in which each event has its\n"+
			"verdict and the reason for it. As CSV, shows the timeline only.",
		func(command *cobra.Command, _ string, answer *payrelayv1.ExplainOrderResponse) error {
			return printOrder(command.OutOrStdout(), answer)
		})
}

// newOfOrder returns a command that shows the explanation of an order. Named is the order
// as an argument of a shell.
func newOfOrder(open Open, use, short, long string, show func(command *cobra.Command, named string, answer *payrelayv1.ExplainOrderResponse) error) *cobra.Command {
	on := target{open: open}
	var format output
	command := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs}
	flags.Register(command, &on)
	format.register(command, "table")
	command.RunE = func(command *cobra.Command, args []string) error {
		id, err := oneID(args, "order")
		if err := errors.Join(err, format.validate()); err != nil {
			return err
		}
		return on.use(command.Context(), func(service Service) error {
			answer, err := service.ExplainOrder(command.Context(), &payrelayv1.ExplainOrderRequest{OrderId: id})
			switch {
			case connect.CodeOf(err) == connect.CodeNotFound:
				return nothing("order " + cell(id))
			case err != nil:
				return fmt.Errorf("show order %s: %w", cell(id), err)
			case format.format == "json":
				return printJSON(command.OutOrStdout(), api.ExplainedOrderJSON(answer))
			case format.format == "csv":
				return printTimeline(format, command, answer.GetTimeline())
			default:
				return show(command, quotedArg(id), answer)
			}
		})
	}
	return command
}
