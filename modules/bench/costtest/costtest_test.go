package costtest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

var kept []byte

func TestMeasure(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates too")
	}
	for size, want := range map[int]uint64{64: 64, 4096: 4096} {
		if objects, bytes := measure(func() { kept = make([]byte, size) }); objects != 1 || bytes != want {
			t.Errorf("one object of %d bytes is measured as %d of %d", size, objects, bytes)
		}
	}
	if objects, bytes := measure(func() { kept = kept[:1] }); objects != 0 || bytes != 0 {
		t.Errorf("nothing is measured as %d objects of %d bytes", objects, bytes)
	}
}

func TestCosts(t *testing.T) {
	Allocations(t, "one object", func() { kept = make([]byte, 64) })
	Size(t, "a message", 17)
}

// TestGuardedPath is what a package with a hot path does; TestGuard runs it with
// another cost than is committed.
func TestGuardedPath(t *testing.T) {
	objects := 1 + len(os.Getenv("COSTTEST_MORE"))
	Allocations(t, "one object", func() {
		for range objects {
			kept = make([]byte, 64)
		}
	})
}

// A check that cannot fail shows nothing.
func TestGuard(t *testing.T) {
	if raceDetector || os.Getenv(update) != "" {
		t.Skip("the race detector allocates too, and an update commits whatever is measured")
	}
	guarded := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestGuardedPath$")
	guarded.Env = append(os.Environ(), "COSTTEST_MORE=x")
	out, err := guarded.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "one object costs 2 allocations of 128 bytes") || !strings.Contains(string(out), update+"=1") {
		t.Errorf("twice the allocations: %v, %s", err, out)
	}
}
