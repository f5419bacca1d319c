package cmd

import (
	"log/slog"
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
	for line, want := range map[string]string{
		"serve all --mode":            "kafka\nhttp\nprotobuf\ngrpc\ndirect\n",
		"serve all --log-level":       "debug\ninfo\nwarn\nerror\n",
		"serve all --log-format":      "text\njson\n",
		"tail --output":               "text\njson\n",
		"deadletters list --output":   "table\njson\ncsv\n",
		"deadletters replay --reason": strings.Join(payments.DeadLetterReasons.All(), "\n") + "\n",
		"deadletters list --kind":     "order\ndispute\nnote\n",
		"orders list --status":        strings.Join(payments.OrderStatuses.All(), "\n") + "\n",
		"disputes list --status":      strings.Join(payments.DisputeStatuses.All(), "\n") + "\n",
		"audit export --action":       "replay\naccept\ndiscard\nread_body\nrederive\nerase\n",
	} {
		if got, err := execute(t, append(append([]string{"__complete"}, strings.Fields(line)...), "")...); err != nil || !strings.HasPrefix(got, want+":4\n") {
			t.Errorf("the completion of %s is %q, %v, want %q", line, got, err, want)
		}
	}
}

// TestCompletionIsInTheHelp checks that a user finds how to make the shell complete.
func TestCompletionIsInTheHelp(t *testing.T) {
	if help, err := execute(t, "--help"); err != nil || !strings.Contains(help, "completion") {
		t.Errorf("help = %s, %v, want the command completion", help, err)
	}
	if script, err := execute(t, "completion", "bash"); err != nil || !strings.Contains(script, "__start_app") {
		t.Errorf("completion bash = %v, want a script", err)
	}
}

// TestMisspeltWordsGetASuggestion checks the sentence about a command or a flag that does
// not exist, and its exit code.
func TestMisspeltWordsGetASuggestion(t *testing.T) {
	for line, want := range map[string]string{
		"servee":                     `app has no command "servee": did you mean serve? see app --help`,
		"serve al":                   `app serve has no command "al": did you mean all? see app serve --help`,
		"deadletters lsit":           `app deadletters has no command "lsit": did you mean list? see app deadletters --help`,
		"frobnicate":                 `app has no command "frobnicate": see app --help`,
		"serve all --mod http":       `unknown flag: --mod: did you mean --mode? see app serve all --help`,
		"orders list --staus failed": `unknown flag: --staus: did you mean --status? see app orders list --help`,
		"orders list --frobnicate":   `unknown flag: --frobnicate: see app orders list --help`,
		"orders list --limit many":   `limit is "many": write a whole number, such as 100`,
	} {
		if _, err := execute(t, strings.Fields(line)...); err == nil || err.Error() != want || flags.ExitCode(err) != flags.ExitUsage {
			t.Errorf("app %s = %v with exit code %d, want %s with 2", line, err, flags.ExitCode(err), want)
		}
	}
}

// TestMisspeltVariablesAreLogged checks that a variable that is no setting is named, and
// that all the variables of the settings are known.
func TestMisspeltVariablesAreLogged(t *testing.T) {
	var text strings.Builder
	environ := []string{"WEBHOOK_MOD=grpc", "KAFKA_BROKER=a:9092"}
	for _, name := range []string{"WEBHOOK_MODE", "INTERNAL_TOKEN", "KAFKA_SASL_PASSWORD", "API_TOKEN", "ADMIN_TOKEN", "OPERATOR_API_URL", "SIMULATE_SECRET", "DATABASE_URL_FILE"} {
		if !slices.Contains(knownVariables(), name) {
			t.Errorf("%s is not known", name)
		}
		environ = append(environ, name+"=x")
	}
	warnMisspelt(slog.New(slog.NewTextHandler(&text, nil)), environ)
	if strings.Count(text.String(), "\n") != 2 || !strings.Contains(text.String(), "variable=WEBHOOK_MOD meant=WEBHOOK_MODE") || !strings.Contains(text.String(), "variable=KAFKA_BROKER meant=KAFKA_BROKERS") {
		t.Errorf("log = %s, want both misspelt variables", text.String())
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
