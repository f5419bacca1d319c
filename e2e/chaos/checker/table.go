package checker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// Totals sums up several runs.
type Totals struct {
	Acked, Redelivered, Recovered, Violations int
	Accepted, Discarded, Replayed             int
	Long, Listings                            int
	Faults, Counts                            map[string]int
	Slowest, Ready, Accepting, CaughtUp, Back time.Duration
	MoreGoroutines                            int
	MoreHeap                                  int64
}

// Sum adds up the counts of reports, and takes the maximum of their times and of
// the usage beyond the baseline.
func Sum(reports []*Report) Totals {
	t := Totals{Faults: make(map[string]int), Counts: make(map[string]int)}
	for _, r := range reports {
		t.Acked, t.Redelivered, t.Recovered = t.Acked+r.Acked, t.Redelivered+r.Redelivered, t.Recovered+r.Recovered
		t.Accepted, t.Discarded, t.Replayed = t.Accepted+r.Accepted, t.Discarded+r.Discarded, t.Replayed+r.Replayed
		t.Long, t.Listings = t.Long+r.Long, t.Listings+r.Listings
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

// Table returns a table in Markdown with one line for each run and one for all.
func Table(reports []*Report) string {
	var text strings.Builder
	text.WriteString("| mode/store/processes | acked | SIGKILL | SIGTERM | SIGSTOP | links cut or slowed | locks | restores | lost | doubled | stuck | diverged | other | redelivered | recovered | long histories | letters accepted | discarded | replayed | listings | slowest answer | ready after healing | first 2xx | caught up | back at baseline | goroutines over it | heap over it |\n")
	text.WriteString("|---|" + strings.Repeat("--:|", 26) + "\n")
	for _, r := range reports {
		line(&text, r.Cell.String(), Sum([]*Report{r}))
	}
	line(&text, "**all**", Sum(reports))
	return text.String()
}

func line(text *strings.Builder, name string, t Totals) {
	links := 0
	for _, kind := range history.LinkFaults {
		links += t.Faults[kind]
	}
	fmt.Fprintf(text, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %s | %s | %s | %s | %s | %d | %s |\n", name, t.Acked,
		t.Faults[history.Kill], t.Faults[history.Terminate], t.Faults[history.Freeze], links, t.Faults[history.Lock], t.Faults[history.Restore],
		t.Counts[lost], t.Counts[doubled], t.Counts[stuck], t.Counts[diverged], t.Counts[other],
		t.Redelivered, t.Recovered, t.Long, t.Accepted, t.Discarded, t.Replayed, t.Listings, seconds(t.Slowest), seconds(t.Ready), seconds(t.Accepting), seconds(t.CaughtUp),
		seconds(t.Back), t.MoreGoroutines, history.Mebibytes(t.MoreHeap))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// FaultTable returns a table in Markdown of the outcomes that the provider sees
// while a fault lasts, by class of fault and mode.
func FaultTable(reports []*Report) string {
	seen := make(map[string]map[string]map[string]int) // by class, mode and outcome
	for _, r := range reports {
		for fault, answers := range r.Answers {
			if seen[fault] == nil {
				seen[fault] = make(map[string]map[string]int)
			}
			mode := string(r.Cell.Mode)
			if seen[fault][mode] == nil {
				seen[fault][mode] = make(map[string]int)
			}
			for answer, n := range answers {
				seen[fault][mode][answer] += n
			}
		}
	}
	var modes []string
	for _, mode := range history.Modes() {
		modes = append(modes, string(mode))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "| fault | %s |\n|---|%s\n", strings.Join(modes, " | "), strings.Repeat("---|", len(modes)))
	for _, fault := range slices.SortedFunc(maps.Keys(seen), compareClasses) {
		cells := make([]string, len(modes))
		for i, mode := range modes {
			cells[i] = shares(seen[fault][mode])
		}
		fmt.Fprintf(&text, "| %s | %s |\n", fault, strings.Join(cells, " | "))
	}
	return text.String()
}

// compareClasses compares by kind, then by target.
func compareClasses(a, b string) int {
	kinds := slices.Concat([]string{history.Kill, history.Terminate, history.Freeze}, history.LinkFaults, []string{history.Lock, history.Restore})
	rank := func(class string) int { return slices.Index(kinds, strings.Fields(class)[0]) }
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

// shares formats counts in percent, the largest first.
func shares(of map[string]int) string {
	sum := 0
	for _, n := range of {
		sum += n
	}
	if sum == 0 {
		return "–"
	}
	names := byCount(of)
	for i, name := range names {
		percent := fmt.Sprintf("%.0f", 100*float64(of[name])/float64(sum))
		if 100*of[name] < sum {
			percent = "<1"
		}
		names[i] = percent + " % " + name
	}
	return strings.Join(names, ", ")
}
