package cmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

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

// writeReference is docs/configuration.md: a test fails when the two differ.
func writeReference(out io.Writer, root *cobra.Command) error {
	var b strings.Builder
	b.WriteString("# Configuration\n\n")
	b.WriteString("Made by `task generate` from the flags' declarations. A flag beats its environment\n" +
		"variable, and a variable beats the default. A switch is turned off with `=false`. Secrets\n" +
		"have no flag, but a file or a variable: the token between ingest and api, of at least 32 bytes,\n" +
		"is in `INTERNAL_TOKEN`, and the password for Kafka in `KAFKA_SASL_PASSWORD`.\n\n" +
		"The serve commands also heed Go's own `GOGC`, by default " + fmt.Sprintf("%d (ingest: %d)", garbagePercent, ingestGarbagePercent) + ", and `GOMEMLIMIT`, by\n" +
		"default 90% of the memory of the container. Garbage is collected sooner when that is near; it is\nno hard limit.\n")
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
		describeFlags(b, command)
	}
	for _, sub := range command.Commands() {
		describeCommand(b, sub)
	}
}

func describeFlags(b *strings.Builder, command *cobra.Command) {
	if !command.HasLocalFlags() {
		return
	}
	header := "\n| flag | environment | default | |\n|---|---|---|---|\n"
	command.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		b.WriteString(header)
		header = ""
		fmt.Fprintf(b, "| `--%s` | %s | %s | %s |\n", f.Name, code(environmentName(f)), code(f.DefValue), strings.ReplaceAll(f.Usage, "`", ""))
	})
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
