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
			t.Errorf("measure(one object of %d bytes) = %d, %d", size, objects, bytes)
		}
	}
	if objects, bytes := measure(func() { kept = kept[:1] }); objects != 0 || bytes != 0 {
		t.Errorf("measure(nothing) = %d, %d, want 0, 0", objects, bytes)
	}
}

func TestCosts(t *testing.T) {
	Allocations(t, "one object", func() { kept = make([]byte, 64) })
	Size(t, "a message", 17)
}

// TestGuardedPath is an example of a test of a hot path. TestGuard runs it with a
// higher cost than the committed one.
func TestGuardedPath(t *testing.T) {
	objects := 1 + len(os.Getenv("COSTTEST_MORE"))
	Allocations(t, "one object", func() {
		for range objects {
			kept = make([]byte, 64)
		}
	})
}

// A higher cost must fail the test.
func TestGuard(t *testing.T) {
	if raceDetector || os.Getenv(update) != "" {
		t.Skip("the race detector allocates too, and an update commits whatever is measured")
	}
	guarded := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestGuardedPath$")
	guarded.Env = append(os.Environ(), "COSTTEST_MORE=x")
	out, err := guarded.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "one object costs 2 allocations of 128 bytes") || !strings.Contains(string(out), update+"=1") {
		t.Errorf("test with twice the allocations: %v, %s, want it to fail", err, out)
	}
}
