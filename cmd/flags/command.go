package flags

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
		return Usagef("%s has no command %q: %ssee %s --help", command.CommandPath(), shown, meant(args[0], commandNames(command), ""), command.CommandPath())
	default:
		return Usagef("%s does not take %q: write the value of a flag as --flag=%s", command.CommandPath(), shown, shown)
	}
}

func commandNames(parent *cobra.Command) (names []string) {
	for _, command := range parent.Commands() {
		if !command.Hidden {
			names = append(names, command.Name())
		}
	}
	return names
}

// meant returns a suggestion for an error, or nothing.
func meant(misspelt string, words []string, prefix string) string {
	if nearest := Nearest(misspelt, words, min(2, len(misspelt)/2)); nearest != "" {
		return fmt.Sprintf("did you mean %s%s? ", prefix, nearest)
	}
	return ""
}

// ExplainFlag returns the error of a flag that a command does not take, or whose value
// does not parse, as a sentence.
func ExplainFlag(command *cobra.Command, err error) error {
	if explained := ExplainValue(err); explained != err {
		return WithExit(ExitUsage, explained)
	}
	suggestion := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		command.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		suggestion = meant(unknown.GetSpecifiedName(), names, "--")
	}
	return Usagef("%w: %ssee %s --help", err, suggestion, command.CommandPath())
}
