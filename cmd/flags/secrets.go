package flags

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

// The secrets themselves have no flags, because every user of the machine can
// read the command line of a process.

// Token locates the token that the ingest role shows to the api role.
type Token struct{ File string }

func (c *Token) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.File, "internal-token-file", "", "file with the token between ingest and api, instead of INTERNAL_TOKEN; with two tokens while one replaces the other: `INTERNAL_TOKEN_FILE`")
}

// Tokens returns the tokens, which space or newlines separate, or nothing if none is
// set. While one is replaced, there are two: the api role accepts both, and the ingest
// role shows the first.
func (c *Token) Tokens() ([]string, error) {
	secret, err := ReadSecret(c.File, "internal-token-file", "INTERNAL_TOKEN", "write a token into it, such as from openssl rand -hex 32")
	return strings.Fields(secret), err
}

// First returns the token that the ingest role shows.
func First(tokens []string) string {
	if len(tokens) == 0 {
		return ""
	}
	return tokens[0]
}

// Password locates the password of this process's user on the Kafka brokers.
type Password struct{ File string }

func (c *Password) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.File, "kafka-sasl-password-file", "", "file with the password for Kafka, instead of KAFKA_SASL_PASSWORD: `KAFKA_SASL_PASSWORD_FILE`")
}

// Secret returns the password, or nothing if none is set.
func (c *Password) Secret() (string, error) {
	return ReadSecret(c.File, "kafka-sasl-password-file", "KAFKA_SASL_PASSWORD", "write the password into it")
}

// ReadSecret returns the content of a file or, without a file, the value of a
// variable, both without the space and newlines around it. It returns nothing if
// neither is set. The variable for the file's name is that of the secret + "_FILE".
func ReadSecret(file, flagName, variable, remedy string) (string, error) {
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
