package cmd

import (
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/payrelay/payrelay/cmd/flags"
)

func TestBuild(t *testing.T) {
	settings := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.modified", Value: "false"},
		{Key: "vcs.revision", Value: "c0b29fe"}, {Key: "vcs.time", Value: "2026-01-04T10:00:00Z"}}
	dirty := append([]debug.BuildSetting{{Key: "vcs.modified", Value: "true"}}, settings[2:]...)
	for want, got := range map[string]build{
		"v1.2, commit c0b29fe of 2026-01-04T10:00:00Z, go1.26":         newBuild("v1.2", &debug.BuildInfo{GoVersion: "go1.26", Settings: settings}),
		"v0.0.1, commit c0b29fe+dirty of 2026-01-04T10:00:00Z, go1.26": newBuild("", &debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "v0.0.1"}, Settings: dirty}),
		"(devel), commit unknown, go1.26":                              newBuild("", &debug.BuildInfo{GoVersion: "go1.26"}),
	} {
		if got.String() != want {
			t.Errorf("newBuild = %q, want %q", got, want)
		}
	}
}

func TestReferenceIsCommitted(t *testing.T) {
	var made strings.Builder
	if err := writeReference(&made, newRoot()); err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if made.String() != string(committed) {
		t.Error("docs/configuration.md differs from the declarations of the flags: run task generate")
	}
}

func TestReferenceNamesFlagVariableAndDefault(t *testing.T) {
	var made strings.Builder
	if err := writeReference(&made, newRoot()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"## app serve all\n",
		"| `--mode` | `WEBHOOK_MODE` | `kafka` |",
		"| `--api-url` | `API_BASE_URL` | `http://127.0.0.1:3002` |",
		"## app deadletters replay [ID...]\n",
		"## app deadletters accept [ID...]\n",
	} {
		if !strings.Contains(made.String(), want) {
			t.Errorf("the reference lacks %q", want)
		}
	}
}

func TestHelpNamesTypeVariableAndDefault(t *testing.T) {
	help, err := execute(t, "serve", "ingest", "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"--ingest-timeout duration ", " deadline for answering one webhook (env INGEST_TIMEOUT, default 12s)\n",
		"--ingest-max-body int ", " maximum size of a webhook's body, in bytes (env INGEST_MAX_BODY, default 262144)\n",
		"--admin-pprof  ", " serve profiles even if the admin address is not loopback (env ADMIN_PPROF)\n",
		"--kafka-brokers list ", "--mode string ",
	} {
		if !strings.Contains(help, want) {
			t.Errorf("the help lacks %q:\n%s", want, help)
		}
	}
}

// TestHelpIsComplete checks that the help of every command names its flags with
// their variables, and all of its subcommands.
func TestHelpIsComplete(t *testing.T) {
	everyCommand(func(command *cobra.Command) {
		help, err := execute(t, append(strings.Fields(command.CommandPath())[1:], "--help")...)
		if err != nil {
			t.Fatal(err)
		}
		for _, sub := range command.Commands() {
			if !sub.Hidden && !strings.Contains(help, sub.Short) {
				t.Errorf("the help of %s lacks the command %s", command.CommandPath(), sub.Name())
			}
		}
		command.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if name := flags.EnvironmentName(f); !strings.Contains(help, "--"+f.Name+" ") || name != "" && !strings.Contains(help, "(env "+name) {
				t.Errorf("the help of %s lacks --%s or its variable %q", command.CommandPath(), f.Name, name)
			}
		})
	})
}
