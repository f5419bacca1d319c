package ingest

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// Config says where webhooks are taken in and how many at a time.
type Config struct {
	// Addr is host:port; port 0 takes a free one.
	Addr string
	// MaxBody is the size of the largest webhook, in bytes.
	MaxBody int64
	// MaxConnections bounds the open connections; more wait in the kernel.
	MaxConnections int
	// MaxInFlight bounds the webhooks that have come and are being applied; more
	// are answered 503. What is still being read is bounded by MaxConnections and,
	// as far as bodies are large, by bodyBudget.
	MaxInFlight int
	// Timeout bounds one webhook from its headers to its answer, so that the
	// provider always gets one.
	Timeout time.Duration
	// Wrap, when set, is put around the handler, for metrics. It is no flag.
	Wrap func(http.Handler) http.Handler
}

// RegisterFlags declares the flags and their defaults on fs.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Addr, "ingest-addr", "127.0.0.1:3001", "listen for webhooks on `INGEST_ADDR`")
	fs.Int64Var(&c.MaxBody, "ingest-max-body", 256<<10, "refuse a webhook of more than `INGEST_MAX_BODY` bytes")
	fs.IntVar(&c.MaxConnections, "ingest-max-connections", 10000, "keep at most `INGEST_MAX_CONNECTIONS` connections of providers open")
	fs.IntVar(&c.MaxInFlight, "ingest-max-in-flight", 4096, "work on at most `INGEST_MAX_IN_FLIGHT` webhooks at once, answer 503 to more")
	fs.DurationVar(&c.Timeout, "ingest-timeout", 12*time.Second, "answer every webhook within `INGEST_TIMEOUT`")
}

// Validate tells how to mend what the server could not work with.
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
	return nil
}
