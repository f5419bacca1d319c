package cmd

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestMemoryLimitIsThatOfTheContainer(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	failing := func(err error) memlimit.Provider { return func() (uint64, error) { return 0, err } }
	for name, test := range map[string]struct {
		container memlimit.Provider
		own       string
		want      int64
		warned    bool
	}{
		"a container":       {memlimit.Limit(1000 << 20), "", 900 << 20, false},
		"no limit":          {failing(memlimit.ErrNoLimit), "", math.MaxInt64, false},
		"no container":      {failing(memlimit.ErrNoCgroup), "", math.MaxInt64, false},
		"no cgroups":        {failing(memlimit.ErrCgroupsNotSupported), "", math.MaxInt64, false},
		"not readable":      {failing(errors.New("permission denied")), "", math.MaxInt64, true},
		"GOMEMLIMIT is set": {memlimit.Limit(1000 << 20), "100MiB", math.MaxInt64, false},
	} {
		debug.SetMemoryLimit(math.MaxInt64)
		t.Setenv("AUTOMEMLIMIT", "0.9")
		t.Setenv("GOMEMLIMIT", test.own)
		if test.own == "" {
			if err := os.Unsetenv("GOMEMLIMIT"); err != nil {
				t.Fatal(err)
			}
		}
		var log strings.Builder
		limitMemory(test.container, slog.New(slog.NewTextHandler(&log, nil)))
		if got := debug.SetMemoryLimit(-1); got != test.want {
			t.Errorf("%s: memory limit = %d, want %d", name, got, test.want)
		}
		if warned := strings.Contains(log.String(), "GOMEMLIMIT"); warned != test.warned {
			t.Errorf("%s: logged %q, want a warning: %v", name, log.String(), test.warned)
		}
	}
}
