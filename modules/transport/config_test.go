package transport

import (
	"flag"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

func TestFlagsNameTheirEnvironment(t *testing.T) {
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	new(Config).RegisterFlags(fs)
	new(RetryConfig).RegisterFlags(fs)
	new(RPCConfig).RegisterFlags(fs)
	want := map[string]string{
		"mode": "WEBHOOK_MODE", "batch": "WEBHOOK_BATCH",
		"api-http2": "API_HTTP2", "api-url": "API_BASE_URL", "api-timeout": "API_TIMEOUT", "api-retry-attempts": "API_RETRY_ATTEMPTS",
		"api-ca-file": "API_CA_FILE", "api-cert-file": "API_CERT_FILE", "api-key-file": "API_KEY_FILE", "insecure-internal": "INSECURE_INTERNAL",
		"api-retry-base-delay": "API_RETRY_BASE_DELAY", "api-retry-max-delay": "API_RETRY_MAX_DELAY",
	}
	got := make(map[string]string)
	fs.VisitAll(func(f *flag.Flag) { got[f.Name], _ = flag.UnquoteUsage(f) })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("flags = %v, want %v", got, want)
	}
}

func TestRetryConfig(t *testing.T) {
	var defaults RetryConfig
	defaults.RegisterFlags(flag.NewFlagSet("test", flag.ContinueOnError))
	want := RetryConfig{Timeout: 10 * time.Second, Attempts: 3, BaseDelay: 100 * time.Millisecond, MaxDelay: 5 * time.Second}
	if defaults != want {
		t.Errorf("defaults = %+v, want %+v", defaults, want)
	}
	if err := defaults.Validate(); err != nil {
		t.Errorf("Validate() of the defaults = %v", err)
	}
	for name, spoil := range map[string]func(*RetryConfig){
		"api-timeout":          func(c *RetryConfig) { c.Timeout = 0 },
		"api-retry-attempts":   func(c *RetryConfig) { c.Attempts = 0 },
		"api-retry-base-delay": func(c *RetryConfig) { c.BaseDelay = -1 },
		"api-retry-max-delay":  func(c *RetryConfig) { c.MaxDelay = time.Millisecond },
	} {
		cfg := defaults
		spoil(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Validate() = %v, want an error that names %s", err, name)
		}
	}
}

func TestRPCConfig(t *testing.T) {
	var defaults RPCConfig
	defaults.RegisterFlags(flag.NewFlagSet("test", flag.ContinueOnError))
	if err := defaults.Validate(); err != nil || defaults.URL != "http://127.0.0.1:3002" {
		t.Errorf("defaults = %+v, %v", defaults, err)
	}
	for url, valid := range map[string]bool{
		"https://api.internal:3002": true, "http://[::1]:3002/": true, "https://api/prefix": true,
		"": false, "127.0.0.1:3002": false, "ftp://api": false, "http://": false, "http://a b": false,
		"http://user:secret@api": false, "http://api?x=1": false, "http://api#x": false,
	} {
		if err := (RPCConfig{URL: url, Token: testToken}).Validate(); (err == nil) != valid {
			t.Errorf("Validate() of %q = %v, want valid = %v", url, err, valid)
		} else if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

func TestRPCConfigWantsATokenForAnotherMachine(t *testing.T) {
	for url, open := range map[string]bool{
		"http://127.0.0.1:3002": true, "http://[::1]:3002": true, "http://localhost:3002": true,
		"http://10.1.2.3:3002": false, "http://api:3002": false, "https://127.0.0.1.example.com": false,
	} {
		if err := (RPCConfig{URL: url}).Validate(); (err == nil) != open {
			t.Errorf("Validate() of %q without a token = %v, want valid = %v", url, err, open)
		}
		if err := (RPCConfig{URL: strings.Replace(url, "http://", "https://", 1), Token: testToken}).Validate(); err != nil {
			t.Errorf("Validate() of %q with TLS and a token = %v", url, err)
		}
	}
}

func TestModeFlag(t *testing.T) {
	var cfg Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	cfg.RegisterFlags(fs)
	if cfg.Mode != payments.Kafka || !cfg.Batch {
		t.Errorf("defaults = %+v, want mode kafka and batch", cfg)
	}
	if err := fs.Parse([]string{"--mode", "grpc", "--batch=false"}); err != nil || cfg.Mode != payments.GRPC || cfg.Batch {
		t.Errorf("config = %+v, %v, want mode grpc without batch", cfg, err)
	}
	if err := fs.Parse([]string{"--mode", "smoke"}); err == nil || !strings.Contains(err.Error(), "choose one of kafka, http, protobuf, grpc, direct") {
		t.Errorf("Parse of an unknown mode = %v, want an error that names all modes", err)
	}
}
