package chaos

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patient is a process that needs so many goroutines each time that somebody looks;
// in the end always the same.
func patient(t *testing.T, goroutines ...int) *member {
	var looks atomic.Int64
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			at := int(looks.Add(1)) - 1
			fmt.Fprintf(w, "go_goroutines %d\ngo_memstats_heap_alloc_bytes 4.2e+06\n", goroutines[min(at, len(goroutines)-1)])
		}
	}))
	t.Cleanup(admin.Close)
	return &member{name: "api-1", admin: strings.TrimPrefix(admin.URL, "http://")}
}

// TestSettle: it is waited for a process that needs more after a fault, but not for
// ever, and what was seen last is noted with each of the faults.
func TestSettle(t *testing.T) {
	const before, leaking = 50, 50 + 5 + moreGoroutines + 1
	for name, test := range map[string]struct {
		needs []int
		want  int
	}{
		"back at once":  {[]int{before + 3}, before + 3},
		"back later":    {[]int{leaking, leaking, before}, before},
		"does not come": {[]int{leaking}, leaking},
	} {
		t.Run(name, func(t *testing.T) {
			ledger, err := OpenLedger(filepath.Join(t.TempDir(), ledgerFile))
			if err != nil {
				t.Fatal(err)
			}
			n := &nemesis{cluster: &cluster{members: []*member{patient(t, test.needs...)}}, ledger: ledger,
				faults: make([]Fault, 3), last: 1}
			n.settle([]Vitals{{"api-1", before, 4_200_000}}, 500*time.Millisecond)
			want := []Vitals{{"api-1", test.want, 4_200_000}}
			for i, f := range n.faults {
				if seen := slices.Equal(f.Vitals, want) && f.Looked > 0; seen != (i >= n.last) {
					t.Errorf("fault %d has %v, want %v from fault %d on", i, f.Vitals, want, n.last)
				}
			}
		})
	}
}

// TestSettleComplains: figures that nobody gets are no good ones.
func TestSettleComplains(t *testing.T) {
	ledger, err := OpenLedger(filepath.Join(t.TempDir(), ledgerFile))
	if err != nil {
		t.Fatal(err)
	}
	gone := patient(t, 50)
	gone.admin = "127.0.0.1:1"
	n := &nemesis{cluster: &cluster{members: []*member{gone}}, ledger: ledger, faults: make([]Fault, 1)}
	n.settle([]Vitals{{"api-1", 50, 4_200_000}}, 100*time.Millisecond)
	if len(n.complaints) != 1 || !strings.Contains(n.complaints[0], "api-1") {
		t.Errorf("the complaints are %v", n.complaints)
	}
}

// TestBaseline: it is the most of what was seen.
func TestBaseline(t *testing.T) {
	c := &cluster{members: []*member{patient(t, 50, 70, 60)}}
	most, err := c.baseline(t.Context())
	if want := []Vitals{{"api-1", 70, 4_200_000}}; err != nil || !slices.Equal(most, want) {
		t.Errorf("got %v, %v, want %v", most, err, want)
	}
}
