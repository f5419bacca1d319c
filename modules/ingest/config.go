package ingest

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// Config holds the address and the limits of the listener for webhooks.
type Config struct {
	// Addr is the host:port of the listener; port 0 chooses a free port.
	Addr string
	// MaxBody is the largest size of a webhook's body, in bytes.
	MaxBody int64
	// MaxConnections is the largest number of open connections. Further clients wait
	// in the backlog of the kernel.
	MaxConnections int
	// MaxInFlight is the largest number of webhooks that are being applied at the
	// same time. Further ones are answered 503. Webhooks whose body is still being
	// read do not count.
	MaxInFlight int
	// Timeout is the deadline of one webhook from its headers to its answer.
	Timeout time.Duration
	// Sources are the sources of webhooks beside the built-in one. The flag sets their
	// names.
	Sources []Source
	// Wrap, if it is not nil, wraps the handler with metrics. It has no flag.
	Wrap func(http.Handler) http.Handler
}

// Source is a sender of webhooks with paths of its own: /webhooks/NAME/orders and
// /webhooks/NAME/chargebacks.
type Source struct {
	// Name consists of lower-case letters, digits and hyphens. It is part of the key
	// of every event, and must not change.
	Name string
	// Verified means that every webhook on these paths is known to be authentic. Then
	// a body that cannot be read is not refused, but recorded as a dead letter.
	Verified bool
}

// RegisterFlags declares the flags and their defaults on fs.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Addr, "ingest-addr", "127.0.0.1:3001", "address for webhooks, as host:port: `INGEST_ADDR`")
	fs.Int64Var(&c.MaxBody, "ingest-max-body", 256<<10, "maximum size of a webhook's body, in bytes: `INGEST_MAX_BODY`")
	fs.IntVar(&c.MaxConnections, "ingest-max-connections", 10000, "maximum number of open connections from providers: `INGEST_MAX_CONNECTIONS`")
	fs.IntVar(&c.MaxInFlight, "ingest-max-in-flight", 4096, "maximum number of webhooks in flight; more are answered 503: `INGEST_MAX_IN_FLIGHT`")
	fs.Func("ingest-sources", "names of sources with paths of their own, /webhooks/NAME/orders and /webhooks/NAME/chargebacks; separate several with commas: `INGEST_SOURCES`", c.setSources)
	fs.DurationVar(&c.Timeout, "ingest-timeout", 12*time.Second, "deadline for answering one webhook: `INGEST_TIMEOUT`")
}

// setSources sets the names of the sources.
func (c *Config) setSources(names string) error {
	c.Sources = nil
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			c.Sources = append(c.Sources, Source{Name: name})
		}
	}
	return nil
}

// Validate checks the settings. The error explains how to fix one.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("ingest-addr (INGEST_ADDR) is %q: write it as host:port, such as 127.0.0.1:3001", c.Addr)
	}
	if c.MaxBody < 1 || c.MaxBody > payments.MaxBodyBytes {
		return fmt.Errorf("ingest-max-body (INGEST_MAX_BODY) is %d: set it to a number of bytes from 1 to %d, the most that an update can carry in every mode", c.MaxBody, payments.MaxBodyBytes)
	}
	if c.MaxConnections < 1 {
		return fmt.Errorf("ingest-max-connections (INGEST_MAX_CONNECTIONS) is %d: set it to at least 1", c.MaxConnections)
	}
	if c.MaxInFlight < 1 {
		return fmt.Errorf("ingest-max-in-flight (INGEST_MAX_IN_FLIGHT) is %d: set it to at least 1", c.MaxInFlight)
	}
	if c.Timeout < 100*time.Millisecond {
		return fmt.Errorf("ingest-timeout (INGEST_TIMEOUT) is %s: set it to at least 100ms", c.Timeout)
	}
	taken := []string{builtInPath, genericSource}
	for _, source := range c.Sources {
		if !sourceName.MatchString(source.Name) || slices.Contains(taken, source.Name) {
			return fmt.Errorf("ingest-sources (INGEST_SOURCES) has the name %q: choose 1 to 64 lower-case letters, digits and hyphens, and none of %s", source.Name, strings.Join(taken, ", "))
		}
		taken = append(taken, source.Name)
	}
	return nil
}

var sourceName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
