package api

import (
	"strings"
	"testing"
)

// Another token could not be sent in a header, or not by every client.
func TestTokenIsVisibleASCII(t *testing.T) {
	for _, bad := range []string{"\n", "\r\n", "\t", " ", "\x00", "\x7f", "é", "\u00a0", "\xff"} {
		cfg := Config{InternalTokens: []string{testToken, testToken[:16] + bad + testToken[16:]}}
		err := cfg.Validate()
		if err == nil || !strings.Contains(err.Error(), "INTERNAL_TOKEN") || !strings.Contains(err.Error(), "ASCII") {
			t.Errorf("Validate() of a token with %q = %v, want an error that names INTERNAL_TOKEN and ASCII", bad, err)
		} else if strings.Contains(err.Error(), testToken[:16]) {
			t.Errorf("Validate() of a token with %q = %v, which contains the token", bad, err)
		}
	}
	for c := byte('!'); c <= '~'; c++ {
		if err := (Config{InternalTokens: []string{testToken + string(c)}}).Validate(); err != nil {
			t.Errorf("Validate() of a token with %q = %v, want nil", c, err)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, tokens := range map[string][]string{
		"short token":        {testToken[1:]},
		"short second token": {testToken, testToken[1:]},
		"three tokens":       {testToken, testToken + "2", testToken + "3"},
	} {
		cfg := Config{InternalTokens: tokens}
		if err := cfg.Validate(); err == nil {
			t.Errorf("Validate() of %s = nil, want an error", name)
		} else if strings.Contains(err.Error(), testToken[1:]) {
			t.Errorf("Validate() of %s = %v, which contains the token", name, err)
		}
		if _, err := NewInternal(cfg, listen(t), NewRelay(&recorder{}, quiet()), quiet()); err == nil {
			t.Errorf("NewInternal() with %s succeeded", name)
		}
	}
}
