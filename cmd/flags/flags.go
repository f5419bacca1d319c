// Package flags declares the flags that the commands share, and gives a command its
// flags with their environment variables. It belongs to cmd: only cmd and cmd/operate
// import it.
package flags

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
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// Registrar is the configuration of one part. It declares its flags, each with a
// usage of the form "what it sets, with its unit: `ENVIRONMENT_VARIABLE`".
type Registrar interface{ RegisterFlags(fs *flag.FlagSet) }

// WithDefault registers a configuration whose default differs by command.
func WithDefault(cfg interface{ RegisterFlags(*flag.FlagSet, string) }, value string) Registrar {
	return registers(func(fs *flag.FlagSet) { cfg.RegisterFlags(fs, value) })
}

// Listens registers the flags of a listener of a kind.
func Listens(cfg *door.Config, kind door.Kind) Registrar {
	return registers(func(fs *flag.FlagSet) { cfg.RegisterFlags(fs, kind) })
}

// registers is a function that declares flags.
type registers func(fs *flag.FlagSet)

func (r registers) RegisterFlags(fs *flag.FlagSet) { r(fs) }

// Register gives a command the flags of its parts. Before the command runs, the
// flags that the command line does not set are read from the environment.
func Register(command *cobra.Command, configs ...Registrar) {
	fs := flag.NewFlagSet(command.Name(), flag.ContinueOnError)
	for _, cfg := range configs {
		cfg.RegisterFlags(fs)
	}
	command.Flags().AddGoFlagSet(fs)
	for name, values := range choices() {
		Choose(command, name, values)
	}
	command.PreRunE = func(command *cobra.Command, _ []string) error {
		return ReadEnvironment(command.Flags(), os.LookupEnv)
	}
}

// Choose makes the shell complete the values of a flag, if the command has it. Only the
// first call for a flag takes effect.
func Choose(command *cobra.Command, name string, values []string) {
	if command.Flags().Lookup(name) != nil {
		complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
		_ = command.RegisterFlagCompletionFunc(name, complete) // fails if there is one already
	}
}

// choices returns the allowed values of the flags that have a fixed set of them, by the name
// of the flag.
func choices() map[string][]string {
	modes := make([]string, len(payments.Modes))
	for i, mode := range payments.Modes {
		modes[i] = string(mode)
	}
	return map[string][]string{
		"mode":                 modes,
		"log-level":            {"debug", "info", "warn", "error"},
		"log-format":           {"text", "json"},
		"output":               {"text", "json"},
		"kafka-sasl-mechanism": kafka.Mechanisms,
		"provider":             simulate.Providers,
		"environment":          {"live", "test"},
		"signature-scheme":     {"standard-webhooks", "hmac", "none"},
		"signature-algorithm":  {"sha256", "sha512"},
		"signature-encoding":   {"hex", "base64"},
	}
}

// ReadEnvironment sets the flags that the command line did not set from their
// variables. An empty variable counts as unset, since that is how a variable is
// cleared in a shell or a compose file.
func ReadEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var firstErr error
	flags.VisitAll(func(f *pflag.Flag) {
		name := EnvironmentName(f)
		value, _ := lookup(name)
		if name == "" || value == "" || f.Changed || firstErr != nil {
			return
		}
		firstErr = ExplainValue(flags.Set(f.Name, value))
	})
	return WithExit(ExitUsage, firstErr)
}

// EnvironmentName returns the variable of a flag, or nothing if the flag has none.
func EnvironmentName(f *pflag.Flag) string {
	_, quoted, _ := strings.Cut(f.Usage, ": `")
	return strings.TrimSuffix(quoted, "`")
}

// ExplainValue turns pflag's error about a value that does not parse into a
// sentence with the flag, its variable and an example of a value that does. It
// returns every other error unchanged.
func ExplainValue(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	f := invalid.GetFlag()
	name := f.Name
	if variable := EnvironmentName(f); variable != "" {
		name += " (" + variable + ")"
	}
	var remedy string
	switch kind := f.Value.Type(); {
	case kind == "duration":
		remedy = "write a duration with its unit, such as " + DefaultText(f)
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
