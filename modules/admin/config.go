package admin

import (
	"flag"
	"fmt"
	"net"
)

// Config configures the admin listener.
type Config struct {
	// Addr is host:port; port 0 takes a free port.
	Addr string
	// Pprof allows profiles on an address that is not loopback.
	Pprof bool
}

// RegisterFlags declares the flags on fs. addr is the default address, which
// differs by command, so that commands can run side by side on one machine.
func (c *Config) RegisterFlags(fs *flag.FlagSet, addr string) {
	fs.StringVar(&c.Addr, "admin-addr", addr, "address of the health checks, metrics and profiles, as host:port: `ADMIN_ADDR`")
	fs.BoolVar(&c.Pprof, "admin-pprof", false, "serve profiles even if the admin address is not loopback: `ADMIN_PPROF`")
}

// Validate returns an error if the address is not host:port.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("admin-addr (ADMIN_ADDR) is %q: write it as host:port, such as 127.0.0.1:3003", c.Addr)
	}
	return nil
}
