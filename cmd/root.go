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
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/cmd/operate"
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
		return flags.ExitCode(err)
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
	root.SetFlagErrorFunc(flags.ExplainFlag)
	flags.ShowVariables(root)
	flags.Group(root, newServe(), newTopics(), newBench(), newSimulate(), newRetention(), newErase(), newVerify(), newMigrate(), newBackup(), newTokens(), newDoctor(), newVersion(), newReference())
	root.AddCommand(operate.New(withService)...)
	return root
}

// knownVariables returns the environment variables of all commands. A secret has the
// variable of the file that can hold it, without _FILE.
func knownVariables() (names []string) {
	for all := []*cobra.Command{newRoot()}; len(all) > 0; all = all[1:] {
		all[0].Flags().VisitAll(func(f *pflag.Flag) {
			name := flags.EnvironmentName(f)
			if name == "" || slices.Contains(names, name) {
				return
			}
			names = append(names, name)
			if secret, found := strings.CutSuffix(name, "_FILE"); found && !slices.Contains(names, secret) {
				names = append(names, secret)
			}
		})
		all = slices.Concat(all, all[0].Commands())
	}
	return names
}

// warnMisspelt logs the variables that are probably misspelt: a setting that is ignored.
func warnMisspelt(log *slog.Logger, environ []string) {
	for _, m := range flags.Misspelt(environ, knownVariables()) {
		log.Warn("an environment variable is ignored, because no setting has its name: it may be misspelled", "variable", m.Variable, "meant", m.Meant)
	}
}

// version is set by the release build. Without it, the build information that Go
// records names the version.
var version string

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go release of this build",
		Args:  flags.NoArgs,
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

func newReference() *cobra.Command {
	return &cobra.Command{
		Use:    "reference",
		Short:  "Print the reference of all commands, flags and variables as Markdown",
		Args:   flags.NoArgs,
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
	if command.Hidden || command.Name() == "help" || command.Name() == "completion" {
		return
	}
	if !command.HasSubCommands() || command.HasAvailableLocalFlags() {
		fmt.Fprintf(b, "\n## %s\n\n%s.\n", strings.TrimSuffix(command.UseLine(), " [flags]"), command.Short)
		header := "\n| flag | environment | default | |\n|---|---|---|---|\n"
		command.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			fmt.Fprintf(b, "%s| `--%s` | %s | %s | %s |\n", header, f.Name, code(flags.EnvironmentName(f)), code(flags.DefaultText(f)), flags.Description(f))
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
