package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
)

func parse(t *testing.T, args []string, environment map[string]string) (transport.Config, transport.RetryConfig, error) {
	t.Helper()
	var wire transport.Config
	var retry transport.RetryConfig
	command := &cobra.Command{Use: "test"}
	register(command, &wire, &retry)
	if err := command.ParseFlags(args); err != nil {
		return wire, retry, err
	}
	lookup := func(name string) (string, bool) { v, ok := environment[name]; return v, ok }
	return wire, retry, readEnvironment(command.Flags(), lookup)
}

func TestFlagsBeatEnvironmentBeatsDefaults(t *testing.T) {
	environment := map[string]string{"WEBHOOK_MODE": "grpc", "API_TIMEOUT": "3s", "API_RETRY_ATTEMPTS": ""}
	wire, retry, err := parse(t, []string{"--mode", "http"}, environment)
	if err != nil {
		t.Fatal(err)
	}
	if wire.Mode != payments.HTTP {
		t.Errorf("mode = %s, want the flag's http", wire.Mode)
	}
	if retry.Timeout != 3*time.Second {
		t.Errorf("api-timeout = %s, want the environment's 3s", retry.Timeout)
	}
	if retry.Attempts != 3 || !wire.Batch {
		t.Errorf("attempts = %d, batch = %v, want the defaults 3 and true", retry.Attempts, wire.Batch)
	}
}

func TestBadEnvironmentIsOneSentence(t *testing.T) {
	_, _, err := parse(t, nil, map[string]string{"WEBHOOK_MODE": "smoke-signals"})
	if err == nil {
		t.Fatal("an unknown mode was accepted")
	}
	for _, want := range []string{"WEBHOOK_MODE", "smoke-signals", "kafka, http, protobuf, grpc, direct"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// Every flag of the serve commands can be set by a variable of its own.
func TestEveryServeFlagHasItsVariable(t *testing.T) {
	for _, command := range newServe().Commands() {
		seen := map[string]string{}
		command.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			name := environmentName(f)
			if name == "" || seen[name] != "" {
				t.Errorf("%s --%s has the variable %q, and so has %q", command.Name(), f.Name, name, seen[name])
			}
			seen[name] = f.Name
		})
	}
}
