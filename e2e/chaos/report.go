package chaos

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Report is what came of one run.
type Report struct {
	Cell Cell   `json:"cell"`
	Seed uint64 `json:"seed"`
	// Acked is how many different webhooks were answered 2xx, Redelivered how many
	// answers 2xx there were beyond the first of each, and Recovered how many
	// webhooks were in effect although no attempt had been answered 2xx, so that the
	// next one found them there.
	Acked       int `json:"acked"`
	Redelivered int `json:"redelivered"`
	Recovered   int `json:"recovered"`
	Attempts    int `json:"attempts"`
	// Faults counts the acts of the nemesis by kind.
	Faults map[string]int `json:"faults"`
	// Counts has the violations by kind: lost, doubled, stuck, diverged, other.
	Counts map[string]int `json:"counts,omitempty"`
	// Violations are the first of them, Invariants all that were breached.
	Violations []Violation `json:"violations,omitempty"`
	Invariants []string    `json:"invariants,omitempty"`
	// Slowest is the slowest answer, less the time in which nobody could have given
	// it, Ready the longest time from the healing of a
	// fault to everything being ready, Accepting to the first 2xx, and CaughtUp from
	// the last healing to all being applied.
	Slowest   time.Duration `json:"slowest"`
	Ready     time.Duration `json:"ready"`
	Accepting time.Duration `json:"accepting"`
	CaughtUp  time.Duration `json:"caught_up"`
	// Back is the longest time from everything being ready to every process being
	// back at the baseline, under the load again; MoreGoroutines and MoreHeap, in
	// bytes, are the most that a process needed then beyond the baseline.
	Back           time.Duration `json:"back"`
	MoreGoroutines int           `json:"more_goroutines"`
	MoreHeap       int64         `json:"more_heap"`
	// Stalled is for how long in all the tester itself was held up.
	Stalled time.Duration `json:"stalled"`
	// Answers counts what attempts came to that began during a fault, by the fault
	// (kind and role) and the answer.
	Answers map[string]map[string]int `json:"answers"`
	// Parity is a digest of each order's final state, with its disputes and dead
	// letters.
	Parity []uint64 `json:"-"`
}

// NewReport checks a run and sums it up.
func NewReport(h *History, s *State) *Report {
	r := &Report{Cell: h.Cell, Seed: h.Seed, Attempts: len(h.Attempts), CaughtUp: h.CaughtUp,
		Faults: make(map[string]int), Counts: make(map[string]int), Answers: make(map[string]map[string]int)}
	r.Stalled = h.stalledBetween(0, math.MaxInt64)
	r.judge(Check(h, s))
	r.countAttempts(h)
	r.countFaults(h)
	r.countAnswers(h)
	r.Parity = fingerprints(h, s)
	return r
}

func (r *Report) judge(found []Violation) {
	const shown = 5 // of each invariant
	by := make(map[string]int)
	for _, v := range found {
		r.Counts[v.Kind]++
		if by[v.Invariant]++; by[v.Invariant] <= shown {
			r.Violations = append(r.Violations, v)
		}
	}
	for invariant := range by {
		r.Invariants = append(r.Invariants, invariant)
	}
	slices.Sort(r.Invariants)
}

func (r *Report) countAttempts(h *History) {
	last := make(map[string]int64) // when the attempts so far were done
	acked := make(map[string]bool)
	for i := range h.Attempts {
		a := &h.Attempts[i]
		if took := micros(a.Done - a.From); took > r.Slowest {
			r.Slowest = max(r.Slowest, took-h.heldUp(a))
		}
		switch {
		case a.accepted() && acked[a.Event]:
			r.Redelivered++
		case a.accepted():
			acked[a.Event] = true
			r.Acked++
			if a.Verdict == "duplicate" && last[a.Event] != 0 && last[a.Event] <= a.From {
				r.Recovered++
			}
		}
		last[a.Event] = a.Done
	}
}

func (r *Report) countFaults(h *History) {
	for i, f := range h.Faults {
		r.Faults[f.Kind]++
		r.Ready = max(r.Ready, micros(f.Ready-f.Over))
		r.countVitals(h.Baseline, f)
		next := int64(math.MaxInt64)
		if i+1 < len(h.Faults) {
			next = h.Faults[i+1].From
		}
		first := next
		for _, a := range h.Attempts {
			if a.accepted() && a.From >= f.Over && a.Done < first {
				first = a.Done
			}
		}
		if first < next {
			r.Accepting = max(r.Accepting, micros(first-f.Over))
		}
	}
}

func (r *Report) countVitals(baseline []Vitals, f Fault) {
	r.Back = max(r.Back, micros(f.Looked-f.Ready))
	for _, more := range compare(baseline, f.Vitals) {
		r.MoreGoroutines, r.MoreHeap = max(r.MoreGoroutines, more.goroutines()), max(r.MoreHeap, more.heap())
	}
}

// countAnswers notes what became of attempts that began during one fault and no
// other; what is wrong is refused whatever happens.
func (r *Report) countAnswers(h *History) {
	for i := range h.Attempts {
		a := &h.Attempts[i]
		if a.refused() {
			continue
		}
		var during []*Fault
		for i := range h.Faults {
			if f := &h.Faults[i]; a.From >= f.From && a.From < f.Healed {
				during = append(during, f)
			}
		}
		if len(during) == 1 {
			r.count(during[0].name(), a.outcome())
		}
	}
}

func (r *Report) count(fault, answer string) {
	if r.Answers[fault] == nil {
		r.Answers[fault] = make(map[string]int)
	}
	r.Answers[fault][answer]++
}

// name is the fault without the numbers of processes.
func (f *Fault) name() string {
	words := strings.Fields(f.Kind + " " + f.Target)
	for i, word := range words {
		words[i] = strings.TrimRight(word, "-0123456789")
	}
	return strings.Join(words, " ")
}

// outcome is what the provider sees of an attempt.
func (a *Attempt) outcome() string {
	switch {
	case a.Failure != "":
		return a.Failure
	case a.accepted():
		return "2xx"
	default:
		return fmt.Sprint(a.Status)
	}
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
