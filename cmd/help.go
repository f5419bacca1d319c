package cmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// showVariables makes the help of a command and its subcommands show each flag
// with its environment variable and its default.
func showVariables(root *cobra.Command) {
	cobra.AddTemplateFunc("flagUsages", flagUsages)
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), ".LocalFlags.FlagUsages", "flagUsages .LocalFlags", 1))
}

// flagUsages returns the help of flags, one line for each:
//
//	--api-timeout duration   deadline for relaying one webhook, retries included (env API_TIMEOUT, default 10s)
func flagUsages(flags *pflag.FlagSet) string {
	shown := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		var notes []string
		if name := environmentName(f); name != "" {
			notes = append(notes, "env "+name)
		}
		if text := defaultText(f); text != "" && text != "[]" && text != "false" && text != "0" {
			notes = append(notes, "default "+text)
		}
		line := *f
		line.Usage, line.DefValue, line.Value = description(f), "", shownValue{f.Value}
		if len(notes) > 0 {
			line.Usage += " (" + strings.Join(notes, ", ") + ")"
		}
		shown.AddFlag(&line)
	})
	return shown.FlagUsages()
}

// shownValue is the value of a flag, with a type that users know.
type shownValue struct{ pflag.Value }

func (v shownValue) Type() string {
	switch kind := v.Value.Type(); kind {
	case "bool", "int", "int64", "duration", "string":
		return kind
	case "text", "func": // a string that the flag parses itself, such as a mode
		return "string"
	default: // the flags of a type of their own are lists
		return "list"
	}
}

// description returns the usage of a flag without its variable.
func description(f *pflag.Flag) string {
	text, _, _ := strings.Cut(f.Usage, ": `")
	return text
}

// defaultText returns the default of a flag as a user would write it.
func defaultText(f *pflag.Flag) string {
	text := f.DefValue
	switch f.Value.Type() {
	case "duration":
		for _, zero := range []string{"m0s", "h0m"} { // 720h0m0s
			if rest, found := strings.CutSuffix(text, zero); found {
				text = rest + zero[:1]
			}
		}
	case "text":
		text = strings.ToLower(text)
	}
	return text
}

func newReference() *cobra.Command {
	return &cobra.Command{
		Use:    "reference",
		Short:  "Print the reference of all commands, flags and variables as Markdown",
		Args:   noArgs,
		Hidden: true,
		RunE: func(command *cobra.Command, _ []string) error {
			return writeReference(command.OutOrStdout(), command.Root())
		},
	}
}

// writeReference writes docs/configuration.md. A test fails when the file differs
// from what it writes.
func writeReference(out io.Writer, root *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# Configuration

This page is generated from the declarations of the flags by `+"`task generate`"+`.

A flag overrides its environment variable, and a variable overrides the default. An empty
variable counts as unset. A switch is turned off with `+"`=false`"+`.

Secrets have no flag, but a variable, or a file that a flag names. The token between ingest and
api has at least 32 bytes and is in `+"`INTERNAL_TOKEN`"+`; the password for Kafka is in
`+"`KAFKA_SASL_PASSWORD`"+`. The URL of the database can contain a password, and can be in
a file too: `+"`DATABASE_URL_FILE`"+`.

The serve commands also honour Go's own variables. `+"`GOGC`"+` defaults to %d (ingest: %d), and
`+"`GOMEMLIMIT`"+` to 90%% of the memory of the container. The memory limit is soft: as the process
comes near it, garbage is collected more often.
`, gcPercent, ingestGCPercent)
	describeCommand(&b, root)
	_, err := io.WriteString(out, b.String())
	return err
}

func describeCommand(b *strings.Builder, command *cobra.Command) {
	if command.Hidden || command.Name() == "help" {
		return
	}
	if !command.HasSubCommands() || command.HasAvailableLocalFlags() {
		fmt.Fprintf(b, "\n## %s\n\n%s.\n", strings.TrimSuffix(command.UseLine(), " [flags]"), command.Short)
		header := "\n| flag | environment | default | |\n|---|---|---|---|\n"
		command.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			fmt.Fprintf(b, "%s| `--%s` | %s | %s | %s |\n", header, f.Name, code(environmentName(f)), code(defaultText(f)), description(f))
			header = ""
		})
	}
	for _, sub := range command.Commands() {
		describeCommand(b, sub)
	}
}

// code returns text as code in Markdown, and nothing for an empty text.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
