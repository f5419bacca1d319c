package api

import (
	"flag"
	"strings"
	"testing"
)

func TestDefaultsAreLoopbackAndValid(t *testing.T) {
	var cfg Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	cfg.RegisterFlags(fs)
	if cfg.Addr != "127.0.0.1:3000" || cfg.InternalAddr != "127.0.0.1:3002" {
		t.Errorf("defaults = %+v", cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Errorf("Validate() of the defaults = %v, want nil", err)
	}
	for name, env := range map[string]string{"api-addr": "API_ADDR", "internal-addr": "INTERNAL_ADDR"} {
		if got, _ := flag.UnquoteUsage(fs.Lookup(name)); got != env {
			t.Errorf("variable of flag %s = %s, want %s", name, got, env)
		}
	}
}

func TestOnlyLoopbackNeedsNoToken(t *testing.T) {
	for addr, loopback := range map[string]bool{
		"127.0.0.1:3002": true, "127.8.0.1:0": true, "localhost:3002": true, "[::1]:3002": true,
		":3002": false, "0.0.0.0:3002": false, "[::]:3002": false, "10.0.0.7:3002": false,
		"localhost.example.com:3002": false, "[::ffff:10.0.0.7]:3002": false,
	} {
		cfg := Config{Addr: "127.0.0.1:0", InternalAddr: addr}
		if err := cfg.Validate(); (err == nil) != loopback {
			t.Errorf("Validate() of %s without a token = %v, want nil only on loopback", addr, err)
		} else if err != nil && !strings.Contains(err.Error(), "INTERNAL_TOKEN") {
			t.Errorf("Validate() of %s without a token = %v, want an error that names INTERNAL_TOKEN", addr, err)
		}
		cfg.InternalToken = testToken
		if err := cfg.Validate(); err != nil {
			t.Errorf("Validate() of %s with a token = %v, want nil", addr, err)
		}
	}
}

// Another token could not be sent in a header, or not by every client.
func TestTokenIsVisibleASCII(t *testing.T) {
	cfg := Config{Addr: "127.0.0.1:0", InternalAddr: "127.0.0.1:0"}
	for _, bad := range []string{"\n", "\r\n", "\t", " ", "\x00", "\x7f", "é", "\u00a0", "\xff"} {
		cfg.InternalToken = testToken[:16] + bad + testToken[16:]
		err := cfg.Validate()
		if err == nil || !strings.Contains(err.Error(), "INTERNAL_TOKEN") || !strings.Contains(err.Error(), "ASCII") {
			t.Errorf("Validate() of a token with %q = %v, want an error that names INTERNAL_TOKEN and ASCII", bad, err)
		} else if strings.Contains(err.Error(), testToken[:16]) {
			t.Errorf("Validate() of a token with %q = %v, which contains the token", bad, err)
		}
	}
	for c := byte('!'); c <= '~'; c++ {
		cfg.InternalToken = testToken + string(c)
		if err := cfg.Validate(); err != nil {
			t.Errorf("Validate() of a token with %q = %v, want nil", c, err)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no port":          {Addr: "127.0.0.1", InternalAddr: "127.0.0.1:0"},
		"no internal port": {Addr: "127.0.0.1:0", InternalAddr: "127.0.0.1"},
		"short token":      {Addr: "127.0.0.1:0", InternalAddr: "127.0.0.1:0", InternalToken: testToken[1:]},
	} {
		if err := cfg.Validate(); err == nil {
			t.Errorf("Validate() of %s = nil, want an error", name)
		} else if strings.Contains(err.Error(), testToken[1:]) {
			t.Errorf("Validate() of %s = %v, which contains the token", name, err)
		}
		if _, err := NewInternal(cfg, NewRelay(&recorder{}, quiet()), quiet()); err == nil {
			t.Errorf("NewInternal() with %s succeeded", name)
		}
	}
}
