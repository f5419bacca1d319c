// Package costtest fails a test when a hot path allocates or sends more than the
// committed figures. Unlike times, these figures are the same on every machine.
package costtest

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// file holds the committed figures of the package under test, one name and its
// figures on each line.
const file = "testdata/costs.txt"

// update is an environment variable. If it is set, the tests write the file.
const update = "PAYRELAY_UPDATE_COSTS"

const (
	// warmUps are calls that fill caches and pools before the measurement.
	warmUps = 20
	runs    = 50
	// repeats is the number of measurements, of which the lowest counts: other
	// goroutines can allocate during some, but hardly during all of them.
	repeats = 4

	// Calls is the total number of calls of work.
	Calls = warmUps + runs*repeats
)

// slack is the share by which bytes may differ from the committed figure: maps grow
// at random, and Protobuf's JSON has a different number of spaces in each build.
const slack = 0.01

// Allocations fails the test unless work allocates exactly the committed number of
// objects, and of bytes within slack. It skips the test under the race detector,
// which allocates too, and with another release of Go.
func Allocations(t *testing.T, name string, work func()) {
	t.Helper()
	if raceDetector || !strings.HasPrefix(runtime.Version(), release) {
		t.Skip("the committed figures are for " + release + " without the race detector, which allocates too")
	}
	objects, bytes := measure(work)
	compare(t, name, fmt.Sprintf(allocations, objects, bytes), func(committed string) bool {
		var wantObjects, wantBytes uint64
		_, err := fmt.Sscanf(committed, allocations, &wantObjects, &wantBytes)
		return err == nil && objects == wantObjects && math.Abs(float64(bytes)-float64(wantBytes)) <= slack*float64(wantBytes)
	})
}

// release is the release of Go that the figures were measured with.
const release = "go1.26"

const allocations = "%d allocations of %d bytes"

// Size fails the test unless a message has exactly the committed size.
func Size(t *testing.T, name string, bytes int) {
	t.Helper()
	got := fmt.Sprintf("%d bytes", bytes)
	compare(t, name, got, func(committed string) bool { return got == committed })
}

func measure(work func()) (objects, bytes uint64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the garbage collector empties pools
	for range warmUps {
		work()
	}
	objects, bytes = math.MaxUint64, math.MaxUint64
	for range repeats {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			work()
		}
		runtime.ReadMemStats(&after)
		objects = min(objects, (after.Mallocs-before.Mallocs)/runs)
		bytes = min(bytes, (after.TotalAlloc-before.TotalAlloc)/runs)
	}
	return objects, bytes
}

func compare(t *testing.T, name, got string, same func(committed string) bool) {
	t.Helper()
	costs, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(update) != "" {
		costs[name] = got
		if err := write(costs); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := costs[name]; !same(want) {
		t.Errorf("%s costs %s, want %q: find the reason, or write the new figures with %s=1 go test and commit them", name, got, want, update)
	}
}

func read() (map[string]string, error) {
	costs := make(map[string]string)
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return costs, nil
	}
	for line := range strings.Lines(string(text)) {
		name, figures, _ := strings.Cut(strings.TrimSpace(line), ": ")
		costs[name] = figures
	}
	return costs, err
}

func write(costs map[string]string) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(costs)) {
		fmt.Fprintf(&text, "%s: %s\n", name, costs[name])
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text.String()), 0o644)
}
