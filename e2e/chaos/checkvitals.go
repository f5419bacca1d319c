package chaos

import (
	"fmt"
	"slices"
)

// What a process may need more after a fault than before the first one, and more
// when it is idle after a run than when it is new: connections that are kept alive
// for the next call, and buffers that were grown. Of goroutines a tenth of those
// before comes on top.
const (
	moreGoroutines = 60
	moreHeap       = 24 << 20
)

// comparison is of what a process needs with what it needed before. One that was
// started again counts as the same process.
type comparison struct {
	before, after Vitals
	missing       bool // after is
}

// compare takes every process that there was before.
func compare(before, after []Vitals) (all []comparison) {
	for _, was := range before {
		at := slices.IndexFunc(after, func(v Vitals) bool { return v.Process == was.Process })
		if at < 0 {
			all = append(all, comparison{before: was, missing: true})
			continue
		}
		all = append(all, comparison{before: was, after: after[at]})
	}
	return all
}

func (c comparison) goroutines() int { return c.after.Goroutines - c.before.Goroutines }
func (c comparison) heap() int64     { return c.after.Heap - c.before.Heap }

// excess says what the process needs too much; nothing if it is back. When is that
// of before.
func (c comparison) excess(when string) string {
	switch {
	case c.missing:
		return fmt.Sprintf("nobody knows what %s needs", c.before.Process)
	case c.goroutines() > c.before.Goroutines/10+moreGoroutines, c.heap() > moreHeap:
		return fmt.Sprintf("%s has %s, and had %s %s", c.before.Process, c.after, c.before, when)
	default:
		return ""
	}
}

func (v Vitals) String() string {
	return fmt.Sprintf("%d goroutines and %s of heap", v.Goroutines, mebibytes(v.Heap))
}

// back says whether nobody needs too much.
func back(before, after []Vitals) bool {
	return !slices.ContainsFunc(compare(before, after), func(c comparison) bool { return c.excess("") != "" })
}

// checkVitals is what C6 says of memory and goroutines: after each fault under the
// load, and in the end without.
func (c *checker) checkVitals() {
	for _, f := range c.Faults {
		for _, compared := range compare(c.Baseline, f.Vitals) {
			if excess := compared.excess("before the first fault"); excess != "" {
				c.violated(Liveness, other, "%s after %s of %s was healed and all was ready again, %s", micros(f.Looked-f.Ready), f.Kind, f.Target, excess)
			}
		}
	}
	for _, compared := range compare(c.Fresh, c.Used) {
		if excess := compared.excess("when it was new"); excess != "" {
			c.violated(Liveness, other, "idle after the run, %s", excess)
		}
	}
}
