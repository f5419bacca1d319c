package flags

import (
	"fmt"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Decision holds the name of the operator who settles a dead letter, and the reason. The
// dead letter keeps both.
type Decision struct{ By, Why string }

// Register declares the flags of a decision.
func (d *Decision) Register(command *cobra.Command) {
	command.Flags().StringVar(&d.By, "by", "", "name of the person who decides, by default the user of the operating system")
	command.Flags().StringVar(&d.Why, "why", "", "reason for the decision")
}

// Complete checks the decision and sets its default. The reason may be empty only if
// it is optional.
func (d *Decision) Complete(optional bool) error {
	d.By, d.Why = payments.PlainText(strings.TrimSpace(d.By)), payments.PlainText(strings.TrimSpace(d.Why))
	if d.Why == "" && !optional {
		return Usagef("--why is missing: give the reason for the decision, which is recorded, as in --why %q", "the bank confirms it")
	}
	if d.By != "" {
		return nil
	}
	current, err := user.Current()
	if err != nil {
		return fmt.Errorf("find the user of the operating system: %w: name the person with --by", err)
	}
	d.By = current.Username
	return nil
}

// Message returns the decision as the operator service takes it.
func (d *Decision) Message() *payrelayv1.Decision {
	return &payrelayv1.Decision{Reason: d.Why, Operator: d.By}
}
