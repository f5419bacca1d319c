package cmd

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
)

func parse(t *testing.T, args []string, environment map[string]string) (transport.Config, transport.RetryConfig, error) {
	t.Helper()
	var wire transport.Config
	var retry transport.RetryConfig
	command := &cobra.Command{Use: "test"}
	flags.Register(command, &wire, &retry)
	if err := command.ParseFlags(args); err != nil {
		return wire, retry, err
	}
	lookup := func(name string) (string, bool) { v, ok := environment[name]; return v, ok }
	return wire, retry, flags.ReadEnvironment(command.Flags(), lookup)
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

// TestBadValueIsOneSentence checks that the error about a value that does not
// parse is the same whether the value comes from a flag or from the environment.
func TestBadValueIsOneSentence(t *testing.T) {
	for _, c := range []struct{ flag, variable, value, want string }{
		{"mode", "WEBHOOK_MODE", "smoke-signals", `mode (WEBHOOK_MODE) is "smoke-signals": choose one of kafka, http, protobuf, grpc, direct`},
		{"api-timeout", "API_TIMEOUT", "5", `api-timeout (API_TIMEOUT) is "5": write a duration with its unit, such as 10s`},
		{"ingest-max-body", "INGEST_MAX_BODY", "1MB", `ingest-max-body (INGEST_MAX_BODY) is "1MB": write a whole number, such as 262144`},
		{"batch", "WEBHOOK_BATCH", "yes", `batch (WEBHOOK_BATCH) is "yes": write true or false`},
		{"log-level", "LOG_LEVEL", "loud", `log-level (LOG_LEVEL) is "loud": choose one of debug, info, warn, error`},
	} {
		if _, err := execute(t, "serve", "all", "--"+c.flag+"="+c.value); err == nil || err.Error() != c.want {
			t.Errorf("--%s=%s: %v, want %s", c.flag, c.value, err, c.want)
		}
		t.Run(c.variable, func(t *testing.T) {
			t.Setenv(c.variable, c.value)
			if _, err := execute(t, "serve", "all"); err == nil || err.Error() != c.want {
				t.Errorf("%s=%s: %v, want %s", c.variable, c.value, err, c.want)
			}
		})
	}
}

func TestValuesComplete(t *testing.T) {
	for flag, want := range map[string]string{
		"--mode":       "kafka\nhttp\nprotobuf\ngrpc\ndirect\n",
		"--log-level":  "debug\ninfo\nwarn\nerror\n",
		"--log-format": "text\njson\n",
	} {
		if got, err := execute(t, "__complete", "serve", "all", flag, ""); err != nil || !strings.HasPrefix(got, want+":4\n") {
			t.Errorf("the completion of %s is %q, %v, want %q", flag, got, err, want)
		}
	}
}

// everyCommand calls do for each command that is not hidden.
func everyCommand(do func(*cobra.Command)) {
	for all := []*cobra.Command{newRoot()}; len(all) > 0; all = all[1:] {
		if !all[0].Hidden {
			do(all[0])
			all = slices.Concat(all, all[0].Commands())
		}
	}
}

// TestEveryServeFlagHasItsVariable checks that every flag of a serve command has a
// variable, and no two flags the same one.
func TestEveryServeFlagHasItsVariable(t *testing.T) {
	for _, command := range newServe().Commands() {
		seen := map[string]string{}
		command.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			name := flags.EnvironmentName(f)
			if name == "" || seen[name] != "" {
				t.Errorf("app serve %s: the variable of --%s is %q, and --%s has it too", command.Name(), f.Name, name, seen[name])
			}
			seen[name] = f.Name
		})
	}
}

// TestUsageForm checks that each usage is "what it sets: `VARIABLE`", or only
// "what it sets" for a flag without a variable, so that help and reference can
// show the variable apart.
func TestUsageForm(t *testing.T) {
	form := regexp.MustCompile("^[^`]*[^`.:]" + "(: `[A-Z0-9_]+`)?$")
	everyCommand(func(command *cobra.Command) {
		command.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !form.MatchString(f.Usage) {
				t.Errorf("%s --%s: the usage is %q, want the form \"what it sets, with its unit: `VARIABLE`\"", command.CommandPath(), f.Name, f.Usage)
			}
		})
	})
}
