package operate

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// filter selects dead letters.
type filter struct {
	reasons, sources, kinds, orders []string
	text                            string
	period
}

func (f *filter) register(command *cobra.Command) {
	command.Flags().StringSliceVar(&f.reasons, "reason", nil, "select dead letters with this reason; separate several with commas")
	flags.Choose(command, "reason", payments.DeadLetterReasons.All())
	command.Flags().StringSliceVar(&f.sources, "source", nil, "select dead letters from this source; separate several with commas")
	command.Flags().StringSliceVar(&f.kinds, "kind", nil, "select dead letters of this kind, order, dispute or note; separate several with commas")
	flags.Choose(command, "kind", []string{"order", "dispute", "note"})
	ids(command, &f.orders, "order", "select dead letters of this order")
	command.Flags().StringVar(&f.text, "text", "", "select dead letters whose event, order, dispute or detail contains this text")
	f.period.register(command, "dead letters")
}

// given reports whether any flag of the filter is set.
func (f *filter) given() bool {
	return len(f.reasons)+len(f.sources)+len(f.kinds)+len(f.orders) > 0 || f.text != "" || f.period.given()
}

func (f *filter) message() (*payrelayv1.DeadLetterFilter, error) {
	m := &payrelayv1.DeadLetterFilter{Sources: f.sources, Kinds: f.kinds, OrderIds: f.orders, Text: f.text}
	for _, kind := range f.kinds {
		if kind != "order" && kind != "dispute" && kind != "note" {
			return nil, flags.Usagef("--kind is %q: choose from order, dispute, note", kind)
		}
	}
	var err error
	if m.Reasons, err = values("reason", f.reasons, payments.DeadLetterReasons); err != nil {
		return nil, err
	}
	m.TimeFrom, m.TimeTo, err = f.times(time.Now())
	return m, err
}
