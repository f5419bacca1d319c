package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// String is the report in a few lines, for people.
func (r *Report) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, seed %d: %d webhooks acknowledged in %d attempts, %d redelivered, %d recovered; %s\n", r.Cell, r.Seed,
		r.Acked, r.Attempts, r.Redelivered, r.Recovered, counts(r.Faults))
	fmt.Fprintf(&text, "lost %d, doubled %d, stuck %d, diverged %d, other %d; slowest answer %s, ready %s and accepting %s after healing, caught up after %s; back at the baseline after %s, with %d goroutines and %s of heap more at most; the tester was stalled for %s\n",
		r.Counts[lost], r.Counts[doubled], r.Counts[stuck], r.Counts[diverged], r.Counts[other],
		shown(r.Slowest), shown(r.Ready), shown(r.Accepting), shown(r.CaughtUp), shown(r.Back), r.MoreGoroutines, mebibytes(r.MoreHeap), shown(r.Stalled))
	for _, fault := range slices.Sorted(maps.Keys(r.Answers)) {
		fmt.Fprintf(&text, "  %s: %s\n", fault, counts(r.Answers[fault]))
	}
	return text.String()
}

// counts are written the most frequent first.
func counts(of map[string]int) string {
	names := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		if of[a] != of[b] {
			return of[b] - of[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, of[name])
	}
	return strings.Join(names, ", ")
}

func shown(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
