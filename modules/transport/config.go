package transport

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// Config chooses the wire and its shape.
type Config struct {
	// Mode is the wire.
	Mode payments.Mode
	// Batch lets concurrent webhooks share one call. Without it each webhook is
	// a call of its own, which costs more and is simpler to reason about.
	Batch bool
}

// RegisterFlags declares the flags of every role that touches the wire.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.TextVar(&c.Mode, "mode", payments.Kafka, "carry updates over kafka, http, protobuf, grpc or direct: `WEBHOOK_MODE`")
	fs.BoolVar(&c.Batch, "batch", true, "let concurrent webhooks share one call: `WEBHOOK_BATCH`")
}

// RetryConfig bounds how hard one Apply tries.
type RetryConfig struct {
	// Timeout is the deadline of one Apply, retries included.
	Timeout time.Duration
	// Attempts is how often it is tried in all; 1 means no retry.
	Attempts int
	// BaseDelay is the wait before the second attempt. It doubles with each
	// further one up to MaxDelay; 25% of jitter, either way, comes on top.
	BaseDelay time.Duration
	MaxDelay  time.Duration
}

// RegisterFlags declares the flags of a role that sends.
func (c *RetryConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.DurationVar(&c.Timeout, "api-timeout", 10*time.Second, "give up relaying a webhook after this time, retries included: `API_TIMEOUT`")
	fs.IntVar(&c.Attempts, "api-retry-attempts", 3, "try to relay a webhook this often in all: `API_RETRY_ATTEMPTS`")
	fs.DurationVar(&c.BaseDelay, "api-retry-base-delay", 100*time.Millisecond, "wait this long before the first retry, then twice as long each time: `API_RETRY_BASE_DELAY`")
	fs.DurationVar(&c.MaxDelay, "api-retry-max-delay", 5*time.Second, "never wait longer than this between retries (and 25% of jitter): `API_RETRY_MAX_DELAY`")
}

// Validate tells how to mend limits that cannot work.
func (c RetryConfig) Validate() error {
	switch {
	case c.Timeout <= 0:
		return fmt.Errorf("api-timeout (API_TIMEOUT) is %v: it must be more than 0, such as 10s", c.Timeout)
	case c.Attempts < 1:
		return fmt.Errorf("api-retry-attempts (API_RETRY_ATTEMPTS) is %d: it must be at least 1, which means no retry", c.Attempts)
	case c.BaseDelay <= 0 || c.MaxDelay < c.BaseDelay:
		return fmt.Errorf("api-retry-base-delay (API_RETRY_BASE_DELAY) is %v and api-retry-max-delay (API_RETRY_MAX_DELAY) is %v: the first must be more than 0, the second no less than the first",
			c.BaseDelay, c.MaxDelay)
	default:
		return nil
	}
}

// RPCConfig says how to reach the api role in the modes that call it.
type RPCConfig struct {
	// URL is where its internal listener is: http, or https for TLS.
	URL string
	// HTTP2 calls it over HTTP/2 in the modes http and protobuf too. HTTP/1.1 is
	// cheaper; some networks between the roles want it otherwise.
	HTTP2 bool
	// Token is the secret that the api role asks for; empty sends none. It has
	// no flag, because argv is public.
	Token string
	// Unary makes each update a call of its own. It has no flag of its own
	// either: it is the opposite of Config.Batch.
	Unary bool
}

// RegisterFlags declares the flags of a role that calls the api role.
func (c *RPCConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "api-url", "http://127.0.0.1:3002", "relay to the internal listener of the api role at `API_BASE_URL`")
	fs.BoolVar(&c.HTTP2, "api-http2", false, "call the api role over HTTP/2 also in the modes http and protobuf: `API_HTTP2`")
}

// Validate tells how to mend an address that cannot be called.
func (c RPCConfig) Validate() error {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// The value is not repeated: it may hold a password.
		return errors.New("api-url (API_BASE_URL) cannot be called: write it as http://host:port or https://host:port")
	}
	if c.Token == "" && !IsLoopback(u.Hostname()) {
		return errors.New("api-url (API_BASE_URL) is on another machine, where the api role asks for a token: set INTERNAL_TOKEN or --internal-token-file to the one that it has")
	}
	return nil
}

// IsLoopback reports whether a host of a URL or an address is this machine. It does not resolve names: what one resolves to can change.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
