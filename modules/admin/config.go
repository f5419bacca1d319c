package admin

import (
	"context"
	"flag"
	"net/http"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
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
	// UpdateTraceID, if it is not nil, returns the ID of the trace of an update's webhook,
	// or nothing. A batch has updates of many. It has no flag.
	UpdateTraceID func(*payrelayv1.Update) string
}

// RegisterFlags declares the flag on fs.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.BoolVar(&c.Pprof, "admin-pprof", false, "serve profiles even if the admin address is not loopback: `ADMIN_PPROF`")
}
