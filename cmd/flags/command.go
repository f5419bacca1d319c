package flags

import (
	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/store"
)

// Group makes parent a command that only holds others. Without a subcommand it
// shows its help. Cobra alone would do so for a misspelt subcommand too, and
// report success.
func Group(parent *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	parent.Args, parent.DisableFlagsInUseLine = NoArgs, true
	parent.RunE = func(command *cobra.Command, _ []string) error { return command.Help() }
	parent.AddCommand(commands...)
	return parent
}

// NoArgs is for commands that have flags only. An argument is most often the
// value of a switch, as in "--batch false".
func NoArgs(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	shown, ok := store.RedactURL(args[0])
	switch {
	case !ok: // it may be a part of a database URL, with a password
		return Usagef("%s takes flags only: write the value of a flag as --flag=value, in quotation marks if it has spaces", command.CommandPath())
	case command.HasSubCommands():
		return Usagef("%s has no command %q: see %s --help", command.CommandPath(), shown, command.CommandPath())
	default:
		return Usagef("%s does not take %q: write the value of a flag as --flag=%s", command.CommandPath(), shown, shown)
	}
}
