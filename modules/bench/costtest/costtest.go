// Package costtest keeps hot paths from getting more expensive unnoticed: it
// compares what they allocate and send with what is committed. Times would need
// a quiet machine; these figures are the same on every one.
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

// file has the committed figures of the package under test, a name and its
// figures on each line.
const file = "testdata/costs.txt"

// update, when set, writes what is measured into the file.
const update = "PAYRELAY_UPDATE_COSTS"

const (
	// warmUps fill caches and pools before it counts.
	warmUps = 20
	runs    = 50
	// repeats: something else in the process can allocate meanwhile, but hardly
	// every time. The lowest counts.
	repeats = 4

	// Calls is how often work is called in all.
	Calls = warmUps + runs*repeats
)

// slack is how far the bytes may be from what is committed, as a share: maps
// grow by chance, and Protobuf's JSON has a space more or less in each build.
const slack = 0.01

// Allocations wants work to allocate exactly as many objects as are committed
// under the name, and as many bytes but for the slack. It is skipped under the
// race detector, which allocates too.
func Allocations(t *testing.T, name string, work func()) {
	t.Helper()
	if raceDetector || !strings.HasPrefix(runtime.Version(), release) {
		t.Skip("the figures are those of " + release + " without the race detector, which allocates too")
	}
	objects, bytes := measure(work)
	compare(t, name, fmt.Sprintf(allocations, objects, bytes), func(committed string) bool {
		var wantObjects, wantBytes uint64
		_, err := fmt.Sscanf(committed, allocations, &wantObjects, &wantBytes)
		return err == nil && objects == wantObjects && math.Abs(float64(bytes)-float64(wantBytes)) <= slack*float64(wantBytes)
	})
}

// release is the Go that the figures were measured with; another one may allocate
// otherwise.
const release = "go1.26"

const allocations = "%d allocations of %d bytes"

// Size wants a message to be exactly as large as is committed.
func Size(t *testing.T, name string, bytes int) {
	t.Helper()
	got := fmt.Sprintf("%d bytes", bytes)
	compare(t, name, got, func(committed string) bool { return got == committed })
}

func measure(work func()) (objects, bytes uint64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // pools keep what is in them
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
		t.Errorf("%s costs %s, committed are %q: find out why, or commit the new figures with %s=1 go test", name, got, want, update)
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
