// Package cmd is the command line, and the only place where the modules are
// connected: it knows every module, and no module knows it.
//
// A serve command builds the parts of its process from the database towards the
// webhook listener, each before the parts that use it. A supervisor stops them in
// reverse order.
package cmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/payrelay/payrelay/modules/store"
)

// Main runs the command line of the process and returns its exit code.
//
// The first SIGINT or SIGTERM stops the command cleanly, a second one ends the
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
		Short: "payrelay receives payment webhooks and applies each exactly once",
		Long: "payrelay receives payment webhooks, relays them over the transport of your choice,\n" +
			"and applies each to orders and disputes: delivered twice, it changes data once.",
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
	root.AddCommand(newServe(), newTopics(), newBench(), newSimulate(), newDeadLetters(), newRetention(), newErase(), newTail(), newVerify(), newMigrate(), newBackup(), newTokens(), newVersion(), newReference())
	return root
}

// group makes parent a command that only holds others. Without a subcommand it
// shows its help. Cobra alone would do so for a misspelt subcommand too, and
// report success.
func group(parent *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	parent.Args, parent.DisableFlagsInUseLine = noArgs, true
	parent.RunE = func(command *cobra.Command, _ []string) error { return command.Help() }
	parent.AddCommand(commands...)
	return parent
}

// noArgs is for commands that have flags only. An argument is most often the
// value of a switch, as in "--batch false".
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

// version is set by the release build. Without it, the build information that Go
// records names the version.
var version string

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go release of this build",
		Args:  noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(command.OutOrStdout(), "payrelay", thisBuild())
			return err
		},
	}
}

// build identifies the program that runs.
type build struct{ version, revision, time, goVersion string }

func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	return newBuild(version, info)
}

// newBuild returns the build of a release version, or of a plain go build or go
// install if there is none. The revision of a changed work tree ends in "+dirty".
func newBuild(release string, info *debug.BuildInfo) build {
	b := build{version: cmp.Or(release, info.Main.Version, "(devel)"), revision: "unknown", goVersion: info.GoVersion}
	dirty := ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			b.revision = setting.Value
		case setting.Key == "vcs.time":
			b.time = " of " + setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			dirty = "+dirty"
		}
	}
	b.revision += dirty
	return b
}

func (b build) String() string {
	return fmt.Sprintf("%s, commit %s%s, %s", b.version, b.revision, b.time, b.goVersion)
}

// versionText returns the version alone.
func versionText() string { return thisBuild().version }

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
`+"`GOMEMLIMIT`"+` to %d MiB, or more while more is in use, but at most 90%% of the memory of the
container. The memory limit is soft: as the process comes near it, garbage is collected more often.
`, gcPercent, ingestGCPercent, memoryGoal>>20)
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
