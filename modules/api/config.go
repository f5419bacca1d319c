package api

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"strings"
)

// minTokenBytes makes guessing the token hopeless.
const minTokenBytes = 32

// Config says where the api role listens.
type Config struct {
	// Addr is where people and their programs read: host:port, port 0 takes a
	// free one.
	Addr string
	// InternalAddr is where the ingest role delivers.
	InternalAddr string
	// InternalToken is the secret that callers of the internal listener show;
	// empty lets everybody in. It has no flag, because argv is public.
	InternalToken string
}

// RegisterFlags declares the flags of the api role.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Addr, "api-addr", "127.0.0.1:3000", "serve the public API on `API_ADDR`")
	fs.StringVar(&c.InternalAddr, "internal-addr", "127.0.0.1:3002", "take updates from the ingest role on `INTERNAL_ADDR`")
}

// Validate refuses addresses that cannot be listened on, and an internal one
// that strangers could reach without a token, and a token that is easy to guess
// or that no caller could show.
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
		return errors.New("the internal token (INTERNAL_TOKEN) is too short: make one of at least 32 bytes, for example with openssl rand -hex 32")
	case strings.ContainsFunc(c.InternalToken, notVisibleASCII):
		return errors.New("the internal token (INTERNAL_TOKEN) has a space, a line break or another character in it that is not visible ASCII: make one without, for example with openssl rand -hex 32")
	default:
		return nil
	}
}

// notVisibleASCII says of which characters a token cannot consist, because a
// header would not carry them as they are.
func notVisibleASCII(r rune) bool { return r < '!' || r > '~' }

// isLoopback does not resolve names: what one resolves to can change.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
