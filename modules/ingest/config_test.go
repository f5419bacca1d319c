package ingest

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

func TestDefaultsAreValid(t *testing.T) {
	var cfg Config
	cfg.RegisterFlags(flag.NewFlagSet("test", flag.PanicOnError))
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	if cfg.MaxBody != 256<<10 || cfg.MaxInFlight != 4096 || cfg.Timeout != 12*time.Second {
		t.Errorf("defaults = %+v", cfg)
	}
}

func TestFlagsSetTheConfiguration(t *testing.T) {
	var cfg Config
	fs := flag.NewFlagSet("test", flag.PanicOnError)
	cfg.RegisterFlags(fs)
	if err := fs.Parse([]string{"--sources", "s.yaml", "--insecure-no-signature", "--ingest-rate-limit", "7"}); err != nil {
		t.Fatal(err)
	}
	if cfg.SourcesFile != "s.yaml" || !cfg.InsecureNoSignature || cfg.RateLimit != 7 {
		t.Errorf("configuration = %+v, want the values of the flags", cfg)
	}
}

func TestEveryFlagNamesItsEnvironmentVariable(t *testing.T) {
	var cfg Config
	fs := flag.NewFlagSet("test", flag.PanicOnError)
	cfg.RegisterFlags(fs)
	fs.VisitAll(func(f *flag.Flag) {
		want := strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if got, _ := flag.UnquoteUsage(f); got != want {
			t.Errorf("variable of flag %s = %s, want %s", f.Name, got, want)
		}
	})
}

func TestValidateNamesTheInvalidFlag(t *testing.T) {
	for flagName, breakIt := range map[string]func(*Config){
		"ingest-max-body":      func(c *Config) { c.MaxBody = 0 },
		"ingest-max-in-flight": func(c *Config) { c.MaxInFlight = -1 },
		"ingest-timeout":       func(c *Config) { c.Timeout = 0 },
	} {
		cfg := testConfig()
		breakIt(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), flagName+" (") {
			t.Errorf("Validate() with a wrong %s = %v, want an error with its name", flagName, err)
		}
		if _, err := New(cfg, listen(t), &recorder{}, nil); err == nil {
			t.Errorf("New() with a wrong %s succeeded", flagName)
		}
	}
}

// TestMaxBodyFitsEveryWire checks the limit of --ingest-max-body. With a higher one,
// webhooks would be read completely and then refused in every mode.
func TestMaxBodyFitsEveryWire(t *testing.T) {
	if payments.MaxBodyBytes > bodyBudget {
		t.Errorf("a body of %d bytes exceeds the memory for all bodies", payments.MaxBodyBytes)
	}
	cfg := testConfig()
	cfg.MaxBody = payments.MaxBodyBytes
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	cfg.MaxBody, cfg.MaxInFlight, cfg.Timeout = 1, 1, 100*time.Millisecond // the smallest of each
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	cfg.MaxBody = payments.MaxBodyBytes + 1
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "INGEST_MAX_BODY") {
		t.Errorf("Validate() of a larger limit = %v", err)
	}
}
