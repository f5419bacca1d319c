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
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

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
	root.AddCommand(newServe(), newTopics(), newBench(), newDeadLetters(), newRetention(), newErase(), newMigrate(), newVersion(), newReference())
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
