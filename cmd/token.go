package cmd

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

// The secrets themselves have no flags, for everybody on the machine can read a
// command line.

// tokenConfig is the secret between the ingest role and the api role.
type tokenConfig struct{ file string }

func (c *tokenConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.file, "internal-token-file", "", "read the token between ingest and api, else in INTERNAL_TOKEN, from the file `INTERNAL_TOKEN_FILE`")
}

// token is the secret, or empty when none is set.
func (c *tokenConfig) token() (string, error) {
	return readSecret(c.file, "internal-token-file", "INTERNAL_TOKEN", "write a token into it, such as from openssl rand -hex 32")
}

// passwordConfig is the password of this process's user on the Kafka brokers.
type passwordConfig struct{ file string }

func (c *passwordConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.file, "kafka-sasl-password-file", "", "read the password for Kafka, else in KAFKA_SASL_PASSWORD, from the file `KAFKA_SASL_PASSWORD_FILE`")
}

// password is the secret, or empty when none is set.
func (c *passwordConfig) password() (string, error) {
	return readSecret(c.file, "kafka-sasl-password-file", "KAFKA_SASL_PASSWORD", "write the password into it")
}

// readSecret is what is in a file, or else in a variable, without the newline or
// other space around it; empty when there is neither. The file's own variable is
// that of the secret and _FILE.
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
