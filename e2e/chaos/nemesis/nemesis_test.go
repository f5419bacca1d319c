package nemesis

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/deployment"
	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/modules/payments"
)

// fakeMember returns a member whose usage is measured as these goroutines, one
// after the other, and then always as the last.
func fakeMember(t *testing.T, goroutines ...int) *deployment.Member {
	var measured atomic.Int64
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			at := int(measured.Add(1)) - 1
			fmt.Fprintf(w, "go_goroutines %d\ngo_memstats_heap_alloc_bytes 4.2e+06\n", goroutines[min(at, len(goroutines)-1)])
		}
	}))
	t.Cleanup(admin.Close)
	return &deployment.Member{Name: "api-1", Serve: program.Serve{Admin: strings.TrimPrefix(admin.URL, "http://")}}
}

func usageOf(goroutines int) []history.Usage {
	return []history.Usage{{Process: "api-1", Goroutines: goroutines, Heap: 4_200_000}}
}

func clock() int64 { return 17 }

// TestAwaitBaseline: the nemesis waits for a process that uses more after a fault,
// but not longer than it should, and records the last usage with the faults of the
// last episode.
func TestAwaitBaseline(t *testing.T) {
	const before, leaking = 50, 50 + 5 + history.MaxMoreGoroutines + 1
	for name, test := range map[string]struct {
		measured []int
		want     int
	}{
		"back at once": {[]int{before + 3}, before + 3},
		"back later":   {[]int{leaking, leaking, before}, before},
		"never back":   {[]int{leaking}, leaking},
	} {
		t.Run(name, func(t *testing.T) {
			d := &deployment.Deployment{Members: []*deployment.Member{fakeMember(t, test.measured...)}}
			n := &Nemesis{deployment: d, now: clock, faults: make([]history.Fault, 3), last: 1}
			n.AwaitBaseline(usageOf(before), 500*time.Millisecond)
			want := usageOf(test.want)
			for i, f := range n.faults {
				if recorded := slices.Equal(f.Usage, want) && f.Measured > 0; recorded != (i >= n.last) {
					t.Errorf("fault %d has the usage %v, want %v from fault %d on", i, f.Usage, want, n.last)
				}
			}
		})
	}
}

// TestAwaitBaselineComplains: a process that cannot be measured is not back at the
// baseline.
func TestAwaitBaselineComplains(t *testing.T) {
	gone := &deployment.Member{Name: "api-1", Serve: program.Serve{Admin: "127.0.0.1:1"}}
	d := &deployment.Deployment{Members: []*deployment.Member{gone}}
	n := &Nemesis{deployment: d, now: clock, faults: make([]history.Fault, 1)}
	n.AwaitBaseline(usageOf(50), 100*time.Millisecond)
	if complaints := d.Complaints(); len(complaints) != 1 || !strings.Contains(complaints[0], "api-1") {
		t.Errorf("Complaints() = %v, want one about api-1", complaints)
	}
}

// TestBaseline: the baseline is the maximum of several measurements.
func TestBaseline(t *testing.T) {
	d := &deployment.Deployment{Members: []*deployment.Member{fakeMember(t, 50, 70, 60)}}
	most, err := d.Baseline()
	if want := usageOf(70); err != nil || !slices.Equal(most, want) {
		t.Errorf("Baseline() = %v, %v, want %v", most, err, want)
	}
}

// TestRestores: only a cell whose log has all that was acknowledged since a backup gets one
// in the place of its database.
func TestRestores(t *testing.T) {
	for _, cell := range history.Matrix() {
		if got, want := canRestore(cell), strings.HasPrefix(cell.String(), "kafka/sqlite+embedded/"); got != want {
			t.Errorf("canRestore(%s) = %t, want %t", cell, got, want)
		}
	}
	d := &deployment.Deployment{Cell: history.Cell{Mode: payments.HTTP, Store: history.SQLite, Processes: 1}}
	if New(d, clock, 1, nil).RestoreDatabase() {
		t.Error("RestoreDatabase() of a cell without a log = true, want false")
	}
}
