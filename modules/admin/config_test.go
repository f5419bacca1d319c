package admin_test

import (
	"flag"
	"testing"

	"github.com/payrelay/payrelay/modules/admin"
)

func TestConfigDefaultsAndEnvironmentNames(t *testing.T) {
	var cfg admin.Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	cfg.RegisterFlags(fs)
	if cfg.Pprof {
		t.Error("profiles are served on every address by default")
	}
	if got, _ := flag.UnquoteUsage(fs.Lookup("admin-pprof")); got != "ADMIN_PPROF" {
		t.Errorf("the variable of -admin-pprof is %q, want ADMIN_PPROF", got)
	}
}
