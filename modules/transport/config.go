package transport

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/payrelay/payrelay/modules/payments"
)

// Config chooses the mode and whether calls are shared.
type Config struct {
	// Mode is the transport of updates from the ingest role to the api role.
	Mode payments.Mode
	// Batch lets concurrent webhooks share one call. Without it each webhook has its
	// own call, which costs more.
	Batch bool
}

// RegisterFlags declares the flags of the roles at both ends of the wire.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	modes := strings.ReplaceAll(strings.Trim(fmt.Sprint(payments.Modes), "[]"), " ", ", ")
	fs.TextVar(&c.Mode, "mode", payments.Modes[0], "wire that carries the updates from ingest to api, one of "+modes+": `WEBHOOK_MODE`")
	fs.BoolVar(&c.Batch, "batch", true, "whether concurrent webhooks share one call: `WEBHOOK_BATCH`")
}

// RetryConfig bounds the attempts of one Apply.
type RetryConfig struct {
	// Timeout is the deadline of one Apply, retries included.
	Timeout time.Duration
	// Attempts is the number of attempts in all; 1 means no retry.
	Attempts int
	// BaseDelay is the delay before the second attempt. The delay doubles with each
	// further attempt, up to MaxDelay. Each is up to 25% longer or shorter at random.
	BaseDelay, MaxDelay time.Duration

	// retries counts the attempts that are repeated, if it is not nil.
	retries *atomic.Uint64
}

// RegisterFlags declares the flags of the role that sends.
func (c *RetryConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.DurationVar(&c.Timeout, "api-timeout", 10*time.Second, "deadline for relaying one webhook, retries included: `API_TIMEOUT`")
	fs.IntVar(&c.Attempts, "api-retry-attempts", 3, "number of attempts to relay one webhook, the first included: `API_RETRY_ATTEMPTS`")
	fs.DurationVar(&c.BaseDelay, "api-retry-base-delay", 100*time.Millisecond, "delay before the first retry, doubled before each further one: `API_RETRY_BASE_DELAY`")
	fs.DurationVar(&c.MaxDelay, "api-retry-max-delay", 5*time.Second, "longest delay between retries, plus or minus 25% of jitter: `API_RETRY_MAX_DELAY`")
}

// Validate checks the limits. Its error explains how to correct them.
func (c RetryConfig) Validate() error {
	switch {
	case c.Timeout <= 0:
		return fmt.Errorf("api-timeout (API_TIMEOUT) is %v: it must be more than 0, such as 10s", c.Timeout)
	case c.Attempts < 1:
		return fmt.Errorf("api-retry-attempts (API_RETRY_ATTEMPTS) is %d: it must be at least 1, which means no retry", c.Attempts)
	case c.BaseDelay <= 0 || c.MaxDelay < c.BaseDelay:
		return fmt.Errorf("api-retry-base-delay (API_RETRY_BASE_DELAY) is %v and api-retry-max-delay (API_RETRY_MAX_DELAY) is %v: the first must be more than 0, and the second at least the first",
			c.BaseDelay, c.MaxDelay)
	default:
		return nil
	}
}

// RPCConfig holds the settings for calls to the api role in the modes http,
// protobuf and grpc.
type RPCConfig struct {
	// URL is the URL of its internal listener: http, or https with TLS.
	URL string
	// HTTP2 uses HTTP/2 in the modes http and protobuf too, for networks that need
	// it. HTTP/1.1 is cheaper.
	HTTP2 bool
	// Token is the secret that the api role asks for; an empty one is not sent. It
	// has no flag, because a command line is public.
	Token string
	// CAFile is the PEM file of the authorities that may sign the certificate of the api
	// role, instead of those of the system. CertFile and KeyFile are the certificate that
	// this side shows, and its key. All are read again when they change.
	CAFile, CertFile, KeyFile string
	// Insecure allows http to another machine, which shows the token and the updates to
	// the network, and calls without a token or certificate.
	Insecure bool
	// Interceptors are around each call. They have no flag.
	Interceptors []connect.Interceptor
	// Log gets errors about files that have changed; nil drops them. It has no flag.
	Log *slog.Logger
	// Unary sends each update in its own call. It has no flag: it is the opposite of
	// Config.Batch.
	Unary bool
}

// RegisterFlags declares the flags of the role that calls the api role.
func (c *RPCConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "api-url", "http://127.0.0.1:3002", "URL of the internal listener of the api role: `API_BASE_URL`")
	fs.BoolVar(&c.HTTP2, "api-http2", false, "whether the modes http and protobuf call the api role over HTTP/2: `API_HTTP2`")
	fs.StringVar(&c.CAFile, "api-ca-file", "", "PEM file with the authorities that may sign the certificate of the api role, instead of those of the system: `API_CA_FILE`")
	fs.StringVar(&c.CertFile, "api-cert-file", "", "PEM file with the certificate to show to the api role, read again when it changes: `API_CERT_FILE`")
	fs.StringVar(&c.KeyFile, "api-key-file", "", "PEM file with the key of that certificate: `API_KEY_FILE`")
	fs.BoolVar(&c.Insecure, "insecure-internal", false, "call the api role on another machine over http, without TLS: `INSECURE_INTERNAL`")
}

// Validate checks the URL and how both sides prove who they are. Its error explains how to correct them.
func (c RPCConfig) Validate() error {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// The error does not quote the URL: it may hold a password.
		return errors.New("api-url (API_BASE_URL) is not a URL that can be called: write it as http://host:port or https://host:port")
	}
	remote := !IsLoopback(u.Hostname())
	switch {
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("only one of api-cert-file (API_CERT_FILE) and api-key-file (API_KEY_FILE) is set: set both, or neither")
	case u.Scheme == "http" && (c.CAFile != "" || c.CertFile != ""):
		return errors.New("api-ca-file (API_CA_FILE) and api-cert-file (API_CERT_FILE) need TLS: write api-url (API_BASE_URL) as https://host:port")
	case c.Insecure || !remote:
		return nil
	case u.Scheme == "http":
		return errors.New("api-url (API_BASE_URL) is on another machine, and http would show the token and the updates to the network: write https://host:port and set --internal-tls-cert at the api role, or accept the risk with --insecure-internal")
	case c.Token == "" && c.CertFile == "":
		return errors.New("api-url (API_BASE_URL) is on another machine, where the api role asks for a token or a certificate: set INTERNAL_TOKEN or --internal-token-file to the token of the api role, or set --api-cert-file and --api-key-file")
	default:
		return nil
	}
}

// IsLoopback reports whether the host of a URL or an address is this machine. It
// does not resolve names other than localhost, because what they resolve to can
// change.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
