package cmd

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// registrar is a part's configuration: it declares its flags, each in one line
// whose back-quoted word is the flag's environment variable.
type registrar interface{ RegisterFlags(fs *flag.FlagSet) }

// withDefault registers a configuration whose default differs by command.
type withDefault struct {
	cfg   interface{ RegisterFlags(*flag.FlagSet, string) }
	value string
}

func (w withDefault) RegisterFlags(fs *flag.FlagSet) { w.cfg.RegisterFlags(fs, w.value) }

// register gives a command the flags of its parts and, before it runs, whatever
// the environment says about those that the command line does not.
func register(command *cobra.Command, configs ...registrar) {
	fs := flag.NewFlagSet(command.Name(), flag.ContinueOnError)
	for _, cfg := range configs {
		cfg.RegisterFlags(fs)
	}
	command.Flags().AddGoFlagSet(fs)
	command.PreRunE = func(command *cobra.Command, _ []string) error {
		return readEnvironment(command.Flags(), os.LookupEnv)
	}
}

// readEnvironment sets the flags that were not given from their variables. An
// empty variable counts as not set, for that is how one is cleared in a shell
// or a compose file.
func readEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var firstErr error
	flags.VisitAll(func(f *pflag.Flag) {
		name := environmentName(f)
		value, _ := lookup(name)
		if name == "" || value == "" || f.Changed || firstErr != nil {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			firstErr = fmt.Errorf("environment variable %s is %q: %w", name, value, err)
		}
	})
	return firstErr
}

// environmentName is the back-quoted word of a flag's usage, if it is one that
// stands for a variable.
func environmentName(f *pflag.Flag) string {
	_, quoted, found := strings.Cut(f.Usage, "`")
	name, _, closed := strings.Cut(quoted, "`")
	if !found || !closed || name != strings.ToUpper(name) {
		return ""
	}
	return name
}
