package cmd

import (
	"context"
	"errors"
	"flag"
	"io"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/simulate"
)

// simulateSecrets locates the secrets of app simulate.
type simulateSecrets struct{ secret, second, basicAuth, apiToken string }

func (s *simulateSecrets) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&s.secret, "secret-file", "", "file with the secret of the source, instead of SIMULATE_SECRET: `SIMULATE_SECRET_FILE`")
	fs.StringVar(&s.second, "second-secret-file", "", "file with another secret of the source, to sign every other webhook with: `SIMULATE_SECOND_SECRET_FILE`")
	fs.StringVar(&s.basicAuth, "basic-auth-file", "", "file with the login at the source, as username:password, instead of SIMULATE_BASIC_AUTH: `SIMULATE_BASIC_AUTH_FILE`")
	fs.StringVar(&s.apiToken, "api-token-file", "", "file with a token for the public API, instead of SIMULATE_API_TOKEN: `SIMULATE_API_TOKEN_FILE`")
}

// read sets the secrets of a configuration.
func (s *simulateSecrets) read(cfg *simulate.Config) error {
	const remedy = "write it into the file, or remove the flag"
	secret, err1 := flags.ReadSecret(s.secret, "secret-file", "SIMULATE_SECRET", remedy)
	second, err2 := flags.ReadSecret(s.second, "second-secret-file", "SIMULATE_SECOND_SECRET", remedy)
	login, err3 := flags.ReadSecret(s.basicAuth, "basic-auth-file", "SIMULATE_BASIC_AUTH", remedy)
	token, err4 := flags.ReadSecret(s.apiToken, "api-token-file", "SIMULATE_API_TOKEN", remedy)
	for _, text := range []string{secret, second} {
		if text != "" {
			cfg.Secrets = append(cfg.Secrets, text)
		}
	}
	cfg.BasicAuth, cfg.APIToken = login, token
	return errors.Join(err1, err2, err3, err4)
}

func newSimulate() *cobra.Command {
	var cfg simulate.Config
	var secrets simulateSecrets
	command := &cobra.Command{
		Use:   "simulate",
		Short: "Send signed webhooks as a provider does, and check what results",
		Long: "Act as a payment provider: send signed webhooks about whole lives of orders and disputes\n" +
			"to a source. With --check, compare orders and disputes with what must result, and fail if\n" +
			"they differ. docs/simulate.md has examples.",
		Args: flags.NoArgs,
	}
	flags.Register(command, &cfg, &secrets)
	command.RunE = func(command *cobra.Command, _ []string) error {
		if cfg.WriteSources != "" {
			return simulate.WriteSources(cfg.WriteSources, cfg.Provider, cfg.Environment, cfg.CertificateAddr)
		}
		if err := secrets.read(&cfg); err != nil {
			return err
		}
		return runSimulate(command.Context(), cfg, command.OutOrStdout())
	}
	return command
}

func runSimulate(ctx context.Context, cfg simulate.Config, out io.Writer) error {
	made, err := simulate.Run(ctx, cfg)
	if made == nil {
		return err
	}
	return errors.Join(err, made.Write(out, cfg.Output))
}
