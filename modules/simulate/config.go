package simulate

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config holds the flags of app simulate.
type Config struct {
	Provider string
	// URL is the ingest listener, and Source the name of the source there.
	URL, Source string
	Environment string
	// Scenarios are the names of the scenarios, each of which is the life of Orders /
	// len(Scenarios) orders.
	Scenarios []string
	Orders    int
	Seed      uint64
	// Rate is the largest number of webhooks per second, or 0 for no limit.
	Rate        float64
	Concurrency int
	// Duplicates is the share of events that are delivered again.
	Duplicates float64
	Shuffle    bool
	// Batch is the number of events in one webhook, for Adyen.
	Batch int
	// Attempts is how many times a webhook is sent at most, Timeout how long the sender
	// waits for an answer.
	Attempts int
	Timeout  time.Duration
	// CheckURL is the API to compare the result with, or empty.
	CheckURL     string
	CheckTimeout time.Duration
	// MetadataKey and OrderIDPrefix are those of the source.
	MetadataKey, OrderIDPrefix string
	Signature                  Signature
	PublicKey, WebhookID       string
	// CertificateDir has the authority that stands in for PayPal's, CertificateAddr is where
	// its certificate is served.
	CertificateDir, CertificateAddr string
	CAFile                          string
	// SecretsDir has what WriteSources wrote.
	SecretsDir, WriteSources string
	Output                   string

	// Secrets sign the webhooks in turn. BasicAuth is the login username:password at the
	// source, and APIToken that at the API. They have no flags.
	Secrets             []string
	BasicAuth, APIToken string
}

// RegisterFlags declares the flags and their defaults.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Provider, "provider", "", "provider to act as: "+strings.Join(Providers, ", "))
	fs.StringVar(&c.URL, "url", "http://127.0.0.1:3001", "URL of the ingest listener")
	fs.StringVar(&c.Source, "source", "", "name of the source, by default that which --write-sources gives it")
	fs.StringVar(&c.Environment, "environment", "", "environment that the webhooks state, live or test, by default that of --secrets-dir, or else test")
	fs.Var((*words)(&c.Scenarios), "scenario", "scenarios, separated by commas, or all")
	fs.IntVar(&c.Orders, "orders", 0, "number of orders, by default one for each scenario")
	fs.Uint64Var(&c.Seed, "seed", 0, "seed of ids, amounts and order of arrival, by default a random one; a seed results in the same webhooks on the same day")
	fs.Float64Var(&c.Rate, "rate", 0, "largest number of webhooks per second, 0 for no limit")
	fs.IntVar(&c.Concurrency, "concurrency", 16, "webhooks that are sent at a time")
	fs.Float64Var(&c.Duplicates, "duplicates", 0, "share of events to deliver again, from 0 to 1")
	fs.BoolVar(&c.Shuffle, "shuffle", false, "send the events of all orders in a random order")
	fs.IntVar(&c.Batch, "batch", 1, "events in one webhook, for adyen")
	fs.IntVar(&c.Attempts, "attempts", 8, "times to send a webhook that is not accepted")
	fs.DurationVar(&c.Timeout, "timeout", 10*time.Second, "time to wait for an answer")
	fs.StringVar(&c.CheckURL, "check", "", "URL of the public API, to compare orders and disputes with what must result")
	fs.DurationVar(&c.CheckTimeout, "check-timeout", time.Minute, "time to wait for the result, after the last webhook")
	fs.StringVar(&c.MetadataKey, "metadata-key", "order_id", "key of the order id in the metadata, for stripe")
	fs.StringVar(&c.OrderIDPrefix, "order-id-prefix", "", "prefix that the source gives to order ids, for --check")
	fs.StringVar(&c.Signature.Scheme, "signature-scheme", "standard-webhooks", "scheme of a generic source: standard-webhooks, hmac or none")
	fs.StringVar(&c.Signature.Header, "signature-header", "X-Signature", "header of the signature, for the scheme hmac")
	fs.StringVar(&c.Signature.Algorithm, "signature-algorithm", "sha256", "algorithm of the scheme hmac: sha256 or sha512")
	fs.StringVar(&c.Signature.Encoding, "signature-encoding", "hex", "encoding of the scheme hmac: hex or base64")
	fs.StringVar(&c.Signature.Prefix, "signature-prefix", "", "prefix of the signature, for the scheme hmac")
	fs.StringVar(&c.PublicKey, "public-key", "", "public key (wh_pk_…), for solidgate")
	fs.StringVar(&c.WebhookID, "webhook-id", "", "id of the webhook at PayPal, for paypal")
	fs.StringVar(&c.CertificateDir, "paypal-cert-dir", "", "directory of the authority that stands in for PayPal's, which is created if there is none")
	fs.StringVar(&c.CertificateAddr, "paypal-cert-addr", "127.0.0.1:0", "address to serve the certificate at, for a new authority")
	fs.StringVar(&c.CAFile, "ca-file", "", "file with certificates to trust, besides those of the system")
	fs.StringVar(&c.SecretsDir, "secrets-dir", "", "directory of the file of --write-sources, to take the settings of the source from")
	fs.StringVar(&c.WriteSources, "write-sources", "", "write this file of sources of the provider, or of all, with random secrets beside it, and end")
	fs.StringVar(&c.Output, "output", "text", "form of the report, text or json")
}

// complete sets the defaults that depend on other flags, and validates the flags.
func (c *Config) complete() error {
	if _, ok := providers[c.Provider]; !ok {
		return fmt.Errorf("provider is %q: choose one of %s", c.Provider, strings.Join(Providers, ", "))
	}
	if c.Source == "" {
		c.Source = defaultSource(c.Provider)
	}
	if err := c.readSettings(); err != nil {
		return err
	}
	c.Environment = cmp.Or(c.Environment, "test")
	if len(c.Scenarios) == 0 {
		c.Scenarios = []string{"all"}
	}
	return errors.Join(c.checkNumbers(), c.checkURLs(), c.checkCredentials(), c.Signature.validate())
}

func (c *Config) checkNumbers() error {
	switch {
	case c.Environment != "live" && c.Environment != "test":
		return fmt.Errorf("environment is %q: choose live or test", c.Environment)
	case c.Output != "text" && c.Output != "json":
		return fmt.Errorf("output is %q: choose text or json", c.Output)
	case c.Orders < 0 || c.Orders > 1_000_000:
		return fmt.Errorf("orders is %d: choose up to 1000000, or 0 for one of each scenario", c.Orders)
	case c.Rate < 0:
		return fmt.Errorf("rate is %g: choose a number of webhooks per second, or 0 for no limit", c.Rate)
	case c.Concurrency < 1 || c.Concurrency > 1024:
		return fmt.Errorf("concurrency is %d: choose from 1 to 1024", c.Concurrency)
	case c.Duplicates < 0 || c.Duplicates > 1:
		return fmt.Errorf("duplicates is %g: choose a share from 0 to 1", c.Duplicates)
	case c.Batch < 1 || c.Batch > 100:
		return fmt.Errorf("batch is %d: choose from 1 to 100", c.Batch)
	case c.Batch > 1 && !providers[c.Provider].batches:
		return fmt.Errorf("batch is %d: %s sends one event in a webhook, only adyen sends several", c.Batch, c.Provider)
	case c.Attempts < 1 || c.Attempts > 100:
		return fmt.Errorf("attempts is %d: choose from 1 to 100", c.Attempts)
	case c.Timeout <= 0 || c.CheckTimeout <= 0:
		return errors.New("timeout and check-timeout must be more than 0s")
	}
	return nil
}

func (c *Config) checkURLs() error {
	ingest, err := parseURL("url", c.URL)
	if err != nil {
		return err
	}
	if c.BasicAuth != "" && !confidential(ingest) {
		return errors.New("url is http to another host, where the login would be readable: use https")
	}
	if c.CheckURL == "" {
		return nil
	}
	api, err := parseURL("check", c.CheckURL)
	if err != nil {
		return err
	}
	if c.APIToken != "" && !confidential(api) {
		return errors.New("check is http to another host, where the token would be readable: use https")
	}
	return nil
}

func parseURL(name, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s is not a URL such as http://127.0.0.1:3001", name)
	}
	return u, nil
}

// confidential reports whether what is sent to a URL stays on this machine or is
// encrypted.
func confidential(u *url.URL) bool {
	return u.Scheme == "https" || slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname())
}

func (c *Config) checkCredentials() error {
	unsigned := c.Provider == "generic" && c.Signature.Scheme == "none"
	switch {
	case c.Provider == "paypal" && c.WebhookID == "":
		return errors.New("paypal signs the id of the webhook: set --webhook-id to that of the source")
	case c.Provider == "paypal" && c.CertificateDir == "":
		return errors.New("paypal signs with a certificate: set --paypal-cert-dir to a directory for the certificate of its authority, whose ca.pem the source trusts by paypal_test")
	case c.Provider == "solidgate" && c.PublicKey == "":
		return errors.New("solidgate signs its public key: set --public-key to that of the source")
	case len(c.Secrets) == 0 && c.Provider != "paypal" && !unsigned:
		return errors.New("there is no secret: set SIMULATE_SECRET or --secret-file to that of the source, or --secrets-dir to a directory that --write-sources filled")
	}
	return nil
}

// words is a flag whose value is a list, separated by commas.
type words []string

func (w *words) String() string { return strings.Join(*w, ",") }

func (w *words) Set(text string) error {
	*w = nil
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*w = append(*w, word)
		}
	}
	return nil
}
