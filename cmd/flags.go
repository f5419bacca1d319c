package cmd

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/payrelay/payrelay/modules/door"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/simulate"
)

// registrar is the configuration of one part. It declares its flags, each with a
// usage of the form "what it sets, with its unit: `ENVIRONMENT_VARIABLE`".
type registrar interface{ RegisterFlags(fs *flag.FlagSet) }

// withDefault registers a configuration whose default differs by command.
type withDefault struct {
	cfg   interface{ RegisterFlags(*flag.FlagSet, string) }
	value string
}

func (w withDefault) RegisterFlags(fs *flag.FlagSet) { w.cfg.RegisterFlags(fs, w.value) }

// listens registers the flags of a listener of a kind.
type listens struct {
	cfg  *door.Config
	kind door.Kind
}

func (l listens) RegisterFlags(fs *flag.FlagSet) { l.cfg.RegisterFlags(fs, l.kind) }

// register gives a command the flags of its parts. Before the command runs, the
// flags that the command line does not set are read from the environment.
func register(command *cobra.Command, configs ...registrar) {
	fs := flag.NewFlagSet(command.Name(), flag.ContinueOnError)
	for _, cfg := range configs {
		cfg.RegisterFlags(fs)
	}
	command.Flags().AddGoFlagSet(fs)
	for name, values := range choices() {
		if command.Flags().Lookup(name) != nil {
			complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
			_ = command.RegisterFlagCompletionFunc(name, complete) // fails only for an unknown flag
		}
	}
	command.PreRunE = func(command *cobra.Command, _ []string) error {
		return readEnvironment(command.Flags(), os.LookupEnv)
	}
}

// choices returns the values of each flag that takes one of a few, by its name.
func choices() map[string][]string {
	modes := make([]string, len(payments.Modes))
	for i, mode := range payments.Modes {
		modes[i] = string(mode)
	}
	return map[string][]string{
		"mode":                modes,
		"log-level":           {"debug", "info", "warn", "error"},
		"log-format":          {"text", "json"},
		"output":              {"text", "json"},
		"provider":            simulate.Providers,
		"environment":         {"live", "test"},
		"signature-scheme":    {"standard-webhooks", "hmac", "none"},
		"signature-algorithm": {"sha256", "sha512"},
		"signature-encoding":  {"hex", "base64"},
	}
}

// readEnvironment sets the flags that the command line did not set from their
// variables. An empty variable counts as unset, since that is how a variable is
// cleared in a shell or a compose file.
func readEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var firstErr error
	flags.VisitAll(func(f *pflag.Flag) {
		name := environmentName(f)
		value, _ := lookup(name)
		if name == "" || value == "" || f.Changed || firstErr != nil {
			return
		}
		firstErr = explainValue(flags.Set(f.Name, value))
	})
	return firstErr
}

// environmentName returns the variable of a flag, or nothing if the flag has none.
func environmentName(f *pflag.Flag) string {
	_, quoted, _ := strings.Cut(f.Usage, ": `")
	return strings.TrimSuffix(quoted, "`")
}

// explainValue turns pflag's error about a value that does not parse into a
// sentence with the flag, its variable and an example of a value that does. It
// returns every other error unchanged.
func explainValue(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	f := invalid.GetFlag()
	name := f.Name
	if variable := environmentName(f); variable != "" {
		name += " (" + variable + ")"
	}
	var remedy string
	switch kind := f.Value.Type(); {
	case kind == "duration":
		remedy = "write a duration with its unit, such as " + defaultText(f)
	case kind == "int" || kind == "int64":
		remedy = "write a whole number, such as " + f.DefValue
	case kind == "bool":
		remedy = "write true or false"
	case kind == "text" && choices()[f.Name] != nil:
		remedy = "choose one of " + strings.Join(choices()[f.Name], ", ")
	case kind == "func": // the function of the flag returns a whole sentence
		return errors.Unwrap(invalid)
	default: // the value may hold a secret, so it is not quoted
		return fmt.Errorf("%s: %w", name, errors.Unwrap(invalid))
	}
	return fmt.Errorf("%s is %q: %s", name, invalid.GetValue(), remedy)
}

// The secrets themselves have no flags, because every user of the machine can
// read the command line of a process.

// tokenConfig locates the token that the ingest role shows to the api role.
type tokenConfig struct{ file string }

func (c *tokenConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.file, "internal-token-file", "", "file with the token between ingest and api, instead of INTERNAL_TOKEN; with two tokens while one replaces the other: `INTERNAL_TOKEN_FILE`")
}

// tokens returns the tokens, which space or newlines separate, or nothing if none is
// set. While one is replaced, there are two: the api role accepts both, and the ingest
// role shows the first.
func (c *tokenConfig) tokens() ([]string, error) {
	secret, err := readSecret(c.file, "internal-token-file", "INTERNAL_TOKEN", "write a token into it, such as from openssl rand -hex 32")
	return strings.Fields(secret), err
}

// firstOf returns the token that the ingest role shows.
func firstOf(tokens []string) string {
	if len(tokens) == 0 {
		return ""
	}
	return tokens[0]
}

// passwordConfig locates the password of this process's user on the Kafka brokers.
type passwordConfig struct{ file string }

func (c *passwordConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.file, "kafka-sasl-password-file", "", "file with the password for Kafka, instead of KAFKA_SASL_PASSWORD: `KAFKA_SASL_PASSWORD_FILE`")
}

// password returns the password, or nothing if none is set.
func (c *passwordConfig) password() (string, error) {
	return readSecret(c.file, "kafka-sasl-password-file", "KAFKA_SASL_PASSWORD", "write the password into it")
}

// readSecret returns the content of a file or, without a file, the value of a
// variable, both without the space and newlines around it. It returns nothing if
// neither is set. The variable for the file's name is that of the secret + "_FILE".
func readSecret(file, flagName, variable, remedy string) (string, error) {
	if file == "" {
		return strings.TrimSpace(os.Getenv(variable)), nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read %s (%s_FILE): %w", flagName, variable, err)
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" {
		return "", fmt.Errorf("%s (%s_FILE) %s is empty: %s", flagName, variable, file, remedy)
	}
	return secret, nil
}
