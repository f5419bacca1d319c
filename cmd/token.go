package cmd

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

// tokenConfig is the secret between the ingest role and the api role. The secret
// itself has no flag, for everybody on the machine can read a command line.
type tokenConfig struct{ file string }

func (c *tokenConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.file, "internal-token-file", "", "read the token between ingest and api, else in INTERNAL_TOKEN, from the file `INTERNAL_TOKEN_FILE`")
}

// token is the secret, or empty when none is set.
func (c *tokenConfig) token() (string, error) {
	if c.file == "" {
		return strings.TrimSpace(os.Getenv("INTERNAL_TOKEN")), nil
	}
	content, err := os.ReadFile(c.file)
	if err != nil {
		return "", fmt.Errorf("read internal-token-file (INTERNAL_TOKEN_FILE): %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("internal-token-file (INTERNAL_TOKEN_FILE) %s is empty: write a token into it, such as from openssl rand -hex 32", c.file)
	}
	return token, nil
}
