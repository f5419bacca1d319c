package admin_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/admin"
)

func TestConfigDefaultsAndEnvironmentNames(t *testing.T) {
	var cfg admin.Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	cfg.RegisterFlags(fs, "127.0.0.1:3004")
	if err := fs.Parse(nil); err != nil {
		t.Fatal(err)
	}
	if want := (admin.Config{Addr: "127.0.0.1:3004"}); cfg != want {
		t.Errorf("defaults = %+v, want %+v", cfg, want)
	}
	for name, env := range map[string]string{"admin-addr": "ADMIN_ADDR", "admin-pprof": "ADMIN_PPROF"} {
		if got, _ := flag.UnquoteUsage(fs.Lookup(name)); got != env {
			t.Errorf("the variable of -%s is %q, want %q", name, got, env)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:3003": true,
		"[::1]:0":        true,
		":3003":          true,
		"":               false,
		"3003":           false,
		"localhost":      false,
		"::1:3003":       false,
	} {
		err := admin.Config{Addr: addr}.Validate()
		if (err == nil) != ok {
			t.Errorf("Validate(%q) = %v, want ok = %v", addr, err, ok)
		}
		if err != nil && !strings.Contains(err.Error(), "ADMIN_ADDR") {
			t.Errorf("Validate(%q) = %q does not name the variable", addr, err)
		}
	}
}
