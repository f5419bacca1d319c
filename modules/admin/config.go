package admin

import (
	"context"
	"flag"
	"net/http"
)

// Config configures what the admin listener serves.
type Config struct {
	// Pprof allows profiles on an address that is not loopback.
	Pprof bool
	// Wrap, if it is not nil, wraps the handler with the policy of the listener. It has
	// no flag.
	Wrap func(http.Handler) http.Handler
	// TraceID, if it is not nil, returns the ID of the trace of a context, or nothing if
	// the context has none that is sampled. Metrics refer to it in exemplars. It has no
	// flag.
	TraceID func(context.Context) string
}

// RegisterFlags declares the flag on fs.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.BoolVar(&c.Pprof, "admin-pprof", false, "serve profiles even if the admin address is not loopback: `ADMIN_PPROF`")
}
