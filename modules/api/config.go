package api

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"strings"
)

// minTokenBytes is the least size of the internal token. A token of random bytes in
// hexadecimal then has at least 128 bits.
const minTokenBytes = 32

// Config holds the addresses of the api role's listeners, and their secret.
type Config struct {
	// Addr is the host:port of the public listener; port 0 chooses a free port.
	Addr string
	// InternalAddr is the host:port of the listener for the ingest role.
	InternalAddr string
	// InternalToken is the bearer token of the internal listener. If it is empty, no
	// token is needed. It has no flag, because other users can read a command line.
	InternalToken string
}

// RegisterFlags declares the flags of the api role.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Addr, "api-addr", "127.0.0.1:3000", "address of the public API, as host:port: `API_ADDR`")
	fs.StringVar(&c.InternalAddr, "internal-addr", "127.0.0.1:3002", "address for updates from the ingest role, as host:port: `INTERNAL_ADDR`")
}

// Validate checks the addresses and the token. An internal address that other
// machines can reach needs a token, and a token must be long enough and fit into a
// header. The error explains how to fix the setting; it does not contain the
// token.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("api-addr (API_ADDR) is %q: write it as host:port, such as 127.0.0.1:3000", c.Addr)
	}
	host, _, err := net.SplitHostPort(c.InternalAddr)
	switch {
	case err != nil:
		return fmt.Errorf("internal-addr (INTERNAL_ADDR) is %q: write it as host:port, such as 127.0.0.1:3002", c.InternalAddr)
	case c.InternalToken == "" && !isLoopback(host):
		return fmt.Errorf("internal-addr (INTERNAL_ADDR) is %q, which other machines can reach: set INTERNAL_TOKEN or --internal-token-file, here and at the ingest role, or listen on 127.0.0.1", c.InternalAddr)
	case c.InternalToken != "" && len(c.InternalToken) < minTokenBytes:
		return errors.New("the internal token (INTERNAL_TOKEN) is too short: set one of at least 32 bytes, for example from openssl rand -hex 32")
	case strings.ContainsFunc(c.InternalToken, notVisibleASCII):
		return errors.New("the internal token (INTERNAL_TOKEN) contains a space, a line break or another character that is not visible ASCII: set one without, for example from openssl rand -hex 32")
	default:
		return nil
	}
}

// notVisibleASCII reports whether a token must not contain r, because a header
// would not carry it unchanged.
func notVisibleASCII(r rune) bool { return r < '!' || r > '~' }

// isLoopback reports whether only this machine can reach the host. It does not
// resolve names other than localhost, because their addresses can change.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
