package operate

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/api"
)

// rederivation folds histories again and compares.
type rederivation struct {
	sources, orders []string
	period
	dry, correct bool
	decision     flags.Decision
	format       output
}

func newRederive(open Open) *cobra.Command {
	on := target{open: open}
	var r rederivation
	command := &cobra.Command{
		Use:   "replay",
		Short: "Fold the stored histories again, and report the differences from the stored orders and disputes",
		Long: "Folds the stored histories of orders and disputes again, from the first event on, and compares the results\n" +
			"with the stored orders and disputes. There must be no difference: the exit code is 3 if there is one. It\n" +
			"changes nothing, unless --correct is given. To judge dead letters again, see app deadletters replay.",
		Args: flags.NoArgs,
	}
	flags.Register(command, &on)
	command.Flags().StringSliceVar(&r.sources, "source", nil, "select orders and disputes with an event of this source; separate several with commas")
	ids(command, &r.orders, "order", "select this order and its disputes")
	r.period.register(command, "orders and disputes with an event recorded")
	command.Flags().BoolVar(&r.dry, "dry-run", false, "change nothing, which is the default")
	command.Flags().BoolVar(&r.correct, "correct", false, "store the derived state where it differs; needs --why")
	r.decision.Register(command)
	r.format.register(command, "table")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if r.dry && r.correct {
			return flags.Usagef("--dry-run and --correct exclude each other: leave one of them out")
		}
		from, to, err := r.times(time.Now())
		if err := errors.Join(err, r.format.validate(), r.decision.Complete(!r.correct)); err != nil {
			return err
		}
		request := &payrelayv1.RederiveRequest{TimeFrom: from, TimeTo: to, Sources: r.sources, OrderIds: r.orders, DryRun: !r.correct, Decision: r.decision.Message()}
		return on.use(command.Context(), func(service Service) error { return r.run(command, service, request) })
	}
	return command
}

// run compares part by part, and prints the differences.
func (r *rederivation) run(command *cobra.Command, service Service, request *payrelayv1.RederiveRequest) error {
	out := r.format.printer(command, "differences", []string{"ORDER", "SOURCE", "DISPUTE", "FIELD", "STORED", "DERIVED"})
	progress := isTerminal(command.ErrOrStderr())
	var all payrelayv1.RederiveResponse
	differences := int64(0)
	for {
		part, err := service.Rederive(command.Context(), request)
		if err != nil {
			return fmt.Errorf("stopped after %d orders and %d disputes: %w", all.Orders, all.Disputes, err)
		}
		for _, d := range part.GetDifferences() {
			differences++
			if err := out.item([]string{d.GetOrderId(), d.GetSource(), d.GetDisputeId(), d.GetField(), d.GetStored(), d.GetDerived()}, api.DifferenceJSON(d)); err != nil {
				return err
			}
		}
		all.Orders, all.Disputes, all.Events = all.Orders+part.GetOrders(), all.Disputes+part.GetDisputes(), all.Events+part.GetEvents()
		if progress {
			fmt.Fprintf(command.ErrOrStderr(), "\r%d orders, %d disputes", all.Orders, all.Disputes)
		}
		if request.Cursor = part.GetNextCursor(); request.Cursor == "" {
			break
		}
	}
	if progress {
		fmt.Fprintln(command.ErrOrStderr())
	}
	return errors.Join(r.finish(command, out, differences, &all), r.differs(differences))
}

// finish prints the counts.
func (r *rederivation) finish(command *cobra.Command, out printer, differences int64, all *payrelayv1.RederiveResponse) error {
	var notes io.Writer
	switch p := out.(type) {
	case *jsonPrinter:
		p.extra = []any{"orders", all.Orders, "disputes", all.Disputes, "events", all.Events, "corrected", r.correct}
		return p.finish(differences, "")
	case *csvPrinter:
		notes = command.ErrOrStderr()
	default:
		notes = command.OutOrStdout()
	}
	if err := out.finish(differences, ""); err != nil {
		return err
	}
	_, err := fmt.Fprintf(notes, "compared %d orders and %d disputes with %d events\n", all.Orders, all.Disputes, all.Events)
	return err
}

func (r *rederivation) differs(differences int64) error {
	switch {
	case differences == 0:
		return nil
	case r.correct:
		return flags.WithExit(flags.ExitDifferences, fmt.Errorf("%d fields differed, and are corrected", differences))
	default:
		return flags.WithExit(flags.ExitDifferences, fmt.Errorf("%d fields differ from their histories: look at the orders, and store the derived state with --correct", differences))
	}
}
