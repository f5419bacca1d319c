package ingest

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"time"

	"github.com/payrelay/payrelay/modules/ingest/source"
	"github.com/payrelay/payrelay/modules/payments"
)

// Config holds the limits of the server for webhooks.
type Config struct {
	// SourcesFile is the file that configures the sources of webhooks. If it is empty,
	// there is only the built-in source, whose webhooks carry no signature.
	SourcesFile string
	// InsecureNoSignature accepts webhooks without a signature: of sources without a
	// secret, and of the built-in one also on an address that other machines can reach.
	InsecureNoSignature bool
	// MaxBody is the largest size of a webhook's body, in bytes.
	MaxBody int64
	// MaxInFlight is the largest number of webhooks that are being applied at the
	// same time. Further ones are answered 503. Webhooks whose body is still being
	// read do not count.
	MaxInFlight int
	// RateLimit is the largest number of webhooks per second, of all sources together. 0
	// means that there is no limit.
	RateLimit int
	// Timeout is the deadline of one webhook from its headers to its answer.
	Timeout time.Duration
	// Observe, if it is not nil, is called with each webhook of a source after its answer
	// is known, and the context of its request. It has no flag.
	Observe func(context.Context, *Observation)
	// Trace, if it is not nil, begins the trace of a webhook of a source, and returns the
	// context of its span. It has no flag.
	Trace func(r *http.Request, source string) (context.Context, Span)
	// Wrap, if it is not nil, wraps the handler with the policy of the listener and with
	// metrics. It has no flag.
	Wrap func(http.Handler) http.Handler
}

// Span is the span of a webhook.
type Span struct {
	// Traceparent is the W3C trace context for what follows; empty if the webhook is not
	// traced.
	Traceparent string
	// End ends the span. It is nil if the webhook is not traced.
	End func(*Observation)
}

// RegisterFlags declares the flags and their defaults on fs.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.SourcesFile, "sources", "", "YAML file of the sources of webhooks, with their providers and secrets; it is read again when it changes: `SOURCES`")
	fs.BoolVar(&c.InsecureNoSignature, "insecure-no-signature", false, "accept webhooks without a signature, so that anyone who reaches the address can change orders: `INSECURE_NO_SIGNATURE`")
	fs.Int64Var(&c.MaxBody, "ingest-max-body", 256<<10, "maximum size of a webhook's body, in bytes: `INGEST_MAX_BODY`")
	fs.IntVar(&c.MaxInFlight, "ingest-max-in-flight", 4096, "maximum number of webhooks in flight; more are answered 503: `INGEST_MAX_IN_FLIGHT`")
	fs.IntVar(&c.RateLimit, "ingest-rate-limit", 0, "maximum number of webhooks per second of all sources; more are answered 429; 0 for no limit: `INGEST_RATE_LIMIT`")
	fs.DurationVar(&c.Timeout, "ingest-timeout", 12*time.Second, "deadline for answering one webhook: `INGEST_TIMEOUT`")
}

// Validate checks the settings, and reads the file of sources. The error explains how to
// fix one.
func (c Config) Validate() error {
	if c.MaxBody < 1 || c.MaxBody > payments.MaxBodyBytes {
		return fmt.Errorf("ingest-max-body (INGEST_MAX_BODY) is %d: set it to a number of bytes from 1 to %d, the most that an update can carry in every mode", c.MaxBody, payments.MaxBodyBytes)
	}
	if c.MaxInFlight < 1 {
		return fmt.Errorf("ingest-max-in-flight (INGEST_MAX_IN_FLIGHT) is %d: set it to at least 1", c.MaxInFlight)
	}
	if c.RateLimit < 0 {
		return fmt.Errorf("ingest-rate-limit (INGEST_RATE_LIMIT) is %d: set it to a number of webhooks per second, or to 0 for no limit", c.RateLimit)
	}
	if c.Timeout < 100*time.Millisecond {
		return fmt.Errorf("ingest-timeout (INGEST_TIMEOUT) is %s: set it to at least 100ms", c.Timeout)
	}
	_, err := source.Load(c.SourcesFile, c.InsecureNoSignature)
	return err
}
