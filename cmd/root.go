// Package cmd is the command line, and the only place where things are wired:
// it alone knows every module, and no module knows it.
//
// Each command builds its parts in the order of the data's way back, from the
// store to the webhook listener, and hands them to run, which starts them in
// that order and stops them in reverse.
package cmd

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/store"
)

// Main runs the command line of the process and returns its exit code.
//
// The first SIGINT or SIGTERM asks for a clean stop; a second one ends the
// process at once.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	if err := newRoot().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "app: %v\n", err)
		return 1
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "app",
		Short: "payrelay takes payment webhooks in and applies each exactly once",
		Long: "payrelay takes payment webhooks in, relays them over the transport of your choice,\n" +
			"and applies each exactly once in effect to orders and disputes.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		if explained := explainValue(err); explained != err {
			return explained
		}
		return fmt.Errorf("%w: see %s --help", err, command.CommandPath())
	})
	showVariables(root)
	root.AddCommand(newServe(), newTopics(), newBench(), newDeadLetters(), newMigrate(), newVersion(), newReference())
	return root
}

// noArgs is for commands that have flags only. What stands alone is most often
// the value of a switch, as in "--batch false".
func noArgs(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	shown, ok := store.RedactURL(args[0])
	switch {
	case !ok: // it may be a part of a database URL, with a password
		return fmt.Errorf("%s takes flags only: write the value of a flag as --flag=value, in quotation marks if it has spaces", command.CommandPath())
	case command.HasSubCommands():
		return fmt.Errorf("%s has no command %q: see %s --help", command.CommandPath(), shown, command.CommandPath())
	default:
		return fmt.Errorf("%s does not take %q: write the value of a flag as --flag=%s", command.CommandPath(), shown, shown)
	}
}
