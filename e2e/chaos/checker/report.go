package checker

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// Report sums up one run.
type Report struct {
	Cell history.Cell `json:"cell"`
	Seed uint64       `json:"seed"`
	// Acked is the number of different webhooks that were answered 2xx, Redelivered
	// the number of answers 2xx beyond the first of each webhook, and Recovered the
	// number of webhooks that had taken effect although no attempt had been answered
	// 2xx, so that the next attempt found a duplicate.
	Acked       int `json:"acked"`
	Redelivered int `json:"redelivered"`
	Recovered   int `json:"recovered"`
	Attempts    int `json:"attempts"`
	// Accepted and Discarded are the numbers of dead letters that an operator decided
	// so, Replayed is that of calls to judge one again, and Long the number of orders with
	// a history that is not read whole. Listings is the number of listings of all orders.
	Accepted  int `json:"accepted"`
	Discarded int `json:"discarded"`
	Replayed  int `json:"replayed"`
	Listings  int `json:"listings"`
	Long      int `json:"long"`
	// Faults counts the faults by kind.
	Faults map[string]int `json:"faults"`
	// Counts has the number of violations by kind: lost, doubled, stuck, diverged,
	// other.
	Counts map[string]int `json:"counts,omitempty"`
	// Violations has the first violations of each invariant, Invariants the names of
	// all invariants that were violated.
	Violations []Violation `json:"violations,omitempty"`
	Invariants []string    `json:"invariants,omitempty"`
	// Slowest is the longest time to an answer, less the time in which none was
	// possible. Ready is the longest time from the end of a fault until every process
	// was ready, Accepting until the first 2xx, and CaughtUp the time from the end of
	// the last fault until everything was applied.
	Slowest   time.Duration `json:"slowest"`
	Ready     time.Duration `json:"ready"`
	Accepting time.Duration `json:"accepting"`
	CaughtUp  time.Duration `json:"caught_up"`
	// Back is the longest time from every process being ready until every process was
	// back at the baseline, under load. MoreGoroutines and MoreHeap, in bytes, are the
	// most that a process used beyond the baseline then.
	Back           time.Duration `json:"back"`
	MoreGoroutines int           `json:"more_goroutines"`
	MoreHeap       int64         `json:"more_heap"`
	// Stalled is the total time in which the tester itself did not run.
	Stalled time.Duration `json:"stalled"`
	// Answers counts the outcomes of attempts that began during a fault, by the class
	// of the fault and the outcome.
	Answers map[string]map[string]int `json:"answers"`
	// Parity has a digest of each order's final state, with its disputes and dead
	// letters.
	Parity []uint64 `json:"-"`
}

// NewReport checks a run and sums it up.
func NewReport(h *history.History, s *history.State) *Report {
	r := &Report{Cell: h.Cell, Seed: h.Seed, Attempts: len(h.Attempts), CaughtUp: h.CaughtUp,
		Faults: make(map[string]int), Counts: make(map[string]int), Answers: make(map[string]map[string]int)}
	r.Stalled = h.StalledBetween(0, math.MaxInt64)
	r.addViolations(Check(h, s))
	r.Listings = len(h.Listings)
	r.addDecisions(h, s)
	r.addAttempts(h)
	r.addFaults(h)
	r.addAnswers(h)
	r.Parity = fingerprints(h, s)
	return r
}

// Replay reports on the run that a directory holds.
func Replay(dir string) (*Report, error) {
	h, s, err := history.Load(dir)
	if err != nil {
		return nil, err
	}
	return NewReport(h, s), nil
}

func (r *Report) addViolations(found []Violation) {
	const shown = 5 // of each invariant
	count := make(map[string]int)
	for _, v := range found {
		r.Counts[v.Kind]++
		if count[v.Invariant]++; count[v.Invariant] <= shown {
			r.Violations = append(r.Violations, v)
		}
	}
	r.Invariants = slices.Sorted(maps.Keys(count))
}

// long is the number of events from which on the program does not read a history
// whole.
const long = 512

func (r *Report) addDecisions(h *history.History, s *history.State) {
	for _, d := range h.Decisions {
		if d.Resolution == history.Accepted {
			r.Accepted++
		} else {
			r.Discarded++
		}
	}
	for _, replay := range h.Replays {
		r.Replayed += replay.Answered
	}
	events := make(map[string]int)
	for _, e := range s.Events {
		if e.Facts.Dispute != "" {
			continue
		}
		if events[e.Facts.Order]++; events[e.Facts.Order] == long {
			r.Long++
		}
	}
}

func (r *Report) addAttempts(h *history.History) {
	last := make(map[string]int64) // when the webhook's last attempt was done
	acked := make(map[string]bool)
	for i := range h.Attempts {
		a := &h.Attempts[i]
		if took := history.Micros(a.Done - a.From); took > r.Slowest {
			r.Slowest = max(r.Slowest, took-h.HeldUp(a))
		}
		switch {
		case a.Accepted() && acked[a.Webhook]:
			r.Redelivered++
		case a.Accepted():
			acked[a.Webhook] = true
			r.Acked++
			if a.Verdict == "duplicate" && last[a.Webhook] != 0 && last[a.Webhook] <= a.From {
				r.Recovered++
			}
		}
		last[a.Webhook] = a.Done
	}
}

func (r *Report) addFaults(h *history.History) {
	for i, f := range h.Faults {
		r.Faults[f.Kind]++
		r.Ready = max(r.Ready, history.Micros(f.Ready-f.Over))
		r.Back = max(r.Back, history.Micros(f.Measured-f.Ready))
		for _, g := range history.Compare(h.Baseline, f.Usage) {
			r.MoreGoroutines, r.MoreHeap = max(r.MoreGoroutines, g.Goroutines()), max(r.MoreHeap, g.Heap())
		}
		next := int64(math.MaxInt64)
		if i+1 < len(h.Faults) {
			next = h.Faults[i+1].From
		}
		if f.Idle {
			continue
		}
		first := next
		for _, a := range h.Attempts {
			if a.Accepted() && a.From >= f.Over && a.Done < first {
				first = a.Done
			}
		}
		if first < next {
			r.Accepting = max(r.Accepting, history.Micros(first-f.Over))
		}
	}
}

// addAnswers counts attempts that began during exactly one fault. Final refusals
// are left out, because a fault makes no difference to them.
func (r *Report) addAnswers(h *history.History) {
	for i := range h.Attempts {
		a := &h.Attempts[i]
		if a.Refused() {
			continue
		}
		var during []*history.Fault
		for i := range h.Faults {
			if f := &h.Faults[i]; a.From >= f.From && a.From < f.Healed {
				during = append(during, f)
			}
		}
		if len(during) != 1 {
			continue
		}
		class := during[0].Class()
		if r.Answers[class] == nil {
			r.Answers[class] = make(map[string]int)
		}
		r.Answers[class][a.Outcome()]++
	}
}

// String returns the report in a few lines.
func (r *Report) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, seed %d: %d webhooks acknowledged in %d attempts, %d redelivered, %d recovered; %d orders have a long history; %d dead letters accepted, %d discarded, %d replayed; %d listings; %s\n", r.Cell, r.Seed,
		r.Acked, r.Attempts, r.Redelivered, r.Recovered, r.Long, r.Accepted, r.Discarded, r.Replayed, r.Listings, counts(r.Faults))
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	fmt.Fprintf(&text, "lost %d, doubled %d, stuck %d, diverged %d, other %d; slowest answer %s, ready %s and accepting %s after healing, caught up after %s; back at the baseline after %s, at most %d goroutines and %s of heap above it; the tester was stalled for %s\n",
		r.Counts[lost], r.Counts[doubled], r.Counts[stuck], r.Counts[diverged], r.Counts[other],
		ms(r.Slowest), ms(r.Ready), ms(r.Accepting), ms(r.CaughtUp), ms(r.Back), r.MoreGoroutines, history.Mebibytes(r.MoreHeap), ms(r.Stalled))
	for _, class := range slices.Sorted(maps.Keys(r.Answers)) {
		fmt.Fprintf(&text, "  %s: %s\n", class, counts(r.Answers[class]))
	}
	return text.String()
}

// counts formats counts, the largest first.
func counts(of map[string]int) string {
	names := byCount(of)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, of[name])
	}
	return strings.Join(names, ", ")
}

// byCount returns the names in the order of their counts, the largest first.
func byCount(of map[string]int) []string {
	return slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b))
	})
}
