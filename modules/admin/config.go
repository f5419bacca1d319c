package admin

import (
	"flag"
	"fmt"
	"net"
)

// Config says where the admin listener is and what it shows.
type Config struct {
	// Addr is host:port; port 0 takes a free one.
	Addr string
	// Pprof serves profiles also when Addr is not a loopback address.
	Pprof bool
}

// RegisterFlags declares the flags on fs. The default address is the caller's,
// for two commands that run on one machine each need their own.
func (c *Config) RegisterFlags(fs *flag.FlagSet, addr string) {
	fs.StringVar(&c.Addr, "admin-addr", addr, "address of the health checks, metrics and profiles, as host:port: `ADMIN_ADDR`")
	fs.BoolVar(&c.Pprof, "admin-pprof", false, "serve profiles even if the admin address is not loopback: `ADMIN_PPROF`")
}

// Validate tells how to mend an address that cannot be listened on.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("admin-addr (ADMIN_ADDR) is %q: write it as host:port, such as 127.0.0.1:3003", c.Addr)
	}
	return nil
}
