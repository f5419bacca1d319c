package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Totals are of all runs together.
type Totals struct {
	Acked, Redelivered, Recovered, Violations int
	Faults, Counts                            map[string]int
	Slowest, Ready, Accepting, CaughtUp, Back time.Duration
	MoreGoroutines                            int
	MoreHeap                                  int64
}

// Sum adds reports up; of times it takes the longest, and of what processes
// need beyond the baseline the most.
func Sum(reports []*Report) Totals {
	t := Totals{Faults: make(map[string]int), Counts: make(map[string]int)}
	for _, r := range reports {
		t.Acked, t.Redelivered, t.Recovered = t.Acked+r.Acked, t.Redelivered+r.Redelivered, t.Recovered+r.Recovered
		for kind, n := range r.Faults {
			t.Faults[kind] += n
		}
		for kind, n := range r.Counts {
			t.Counts[kind] += n
			t.Violations += n
		}
		t.Slowest, t.Ready = max(t.Slowest, r.Slowest), max(t.Ready, r.Ready)
		t.Accepting, t.CaughtUp = max(t.Accepting, r.Accepting), max(t.CaughtUp, r.CaughtUp)
		t.Back = max(t.Back, r.Back)
		t.MoreGoroutines, t.MoreHeap = max(t.MoreGoroutines, r.MoreGoroutines), max(t.MoreHeap, r.MoreHeap)
	}
	return t
}

// kinds of faults, in the columns of the table.
var kinds = []string{kill, terminate, freeze, blackhole, reset, latency, slice, lock}

// Table has one line for each run and one for all of them, in Markdown.
func Table(reports []*Report) string {
	var text strings.Builder
	text.WriteString("| mode/store/processes | acked | SIGKILL | SIGTERM | SIGSTOP | links cut or slowed | locks | lost | doubled | stuck | diverged | other | redelivered | recovered | slowest answer | ready after healing | first 2xx | caught up | back at baseline | goroutines over it | heap over it |\n")
	text.WriteString("|---|" + strings.Repeat("--:|", 20) + "\n")
	for _, r := range reports {
		line(&text, r.Cell.String(), Sum([]*Report{r}))
	}
	line(&text, "**all**", Sum(reports))
	return text.String()
}

func line(text *strings.Builder, name string, t Totals) {
	links := 0
	for _, kind := range []string{blackhole, reset, latency, slice} {
		links += t.Faults[kind]
	}
	fmt.Fprintf(text, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %s | %s | %s | %s | %s | %d | %s |\n", name, t.Acked,
		t.Faults[kill], t.Faults[terminate], t.Faults[freeze], links, t.Faults[lock],
		t.Counts[lost], t.Counts[doubled], t.Counts[stuck], t.Counts[diverged], t.Counts[other],
		t.Redelivered, t.Recovered, seconds(t.Slowest), seconds(t.Ready), seconds(t.Accepting), seconds(t.CaughtUp),
		seconds(t.Back), t.MoreGoroutines, mebibytes(t.MoreHeap))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// FaultTable is what the provider sees of each fault while it lasts, by mode, in
// Markdown.
func FaultTable(reports []*Report) string {
	seen := make(map[string]map[string]map[string]int) // by fault, mode and answer
	for _, r := range reports {
		for fault, answers := range r.Answers {
			if seen[fault] == nil {
				seen[fault] = make(map[string]map[string]int)
			}
			if seen[fault][r.Cell.Mode] == nil {
				seen[fault][r.Cell.Mode] = make(map[string]int)
			}
			for answer, n := range answers {
				seen[fault][r.Cell.Mode][answer] += n
			}
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "| fault | %s |\n|---|%s\n", strings.Join(Modes, " | "), strings.Repeat("---|", len(Modes)))
	for _, fault := range slices.SortedFunc(maps.Keys(seen), compareFaults) {
		cells := make([]string, len(Modes))
		for i, mode := range Modes {
			cells[i] = shares(seen[fault][mode])
		}
		fmt.Fprintf(&text, "| %s | %s |\n", fault, strings.Join(cells, " | "))
	}
	return text.String()
}

// compareFaults sorts by the kind, in the sequence of kinds, then by the target.
func compareFaults(a, b string) int {
	kindOf := func(fault string) int { return slices.Index(kinds, strings.Fields(fault)[0]) }
	if d := kindOf(a) - kindOf(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// shares are counts in percent, the greatest first.
func shares(of map[string]int) string {
	sum := 0
	for _, n := range of {
		sum += n
	}
	if sum == 0 {
		return "–"
	}
	names := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		if of[a] != of[b] {
			return of[b] - of[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		percent := 100 * float64(of[name]) / float64(sum)
		switch {
		case percent < 1:
			names[i] = "<1 % " + name
		default:
			names[i] = fmt.Sprintf("%.0f %% %s", percent, name)
		}
	}
	return strings.Join(names, ", ")
}
