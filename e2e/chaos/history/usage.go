package history

import (
	"fmt"
	"slices"
)

// Usage is what a process uses.
type Usage struct {
	Process    string `json:"process"`
	Goroutines int    `json:"goroutines"`
	// Heap is in bytes, right after a garbage collection.
	Heap int64 `json:"heap"`
}

// String returns the goroutines and the heap.
func (u Usage) String() string {
	return fmt.Sprintf("%d goroutines and %s of heap", u.Goroutines, Mebibytes(u.Heap))
}

// Mebibytes formats a number of bytes.
func Mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// A process may use this much more after a fault than before the first one, and
// this much more idle after a run than when it is new: for connections that are
// kept alive, and buffers that have grown. One tenth of the goroutines before is
// allowed on top.
const (
	MaxMoreGoroutines = 60
	MaxMoreHeap       = 24 << 20
)

// Growth compares the usage of a process with what it used before. A process that
// was started again counts as the same one.
type Growth struct {
	Before, After Usage
	missing       bool // After was not measured
}

// Compare returns the growth of every process in before.
func Compare(before, after []Usage) (all []Growth) {
	for _, b := range before {
		at := slices.IndexFunc(after, func(u Usage) bool { return u.Process == b.Process })
		if at < 0 {
			all = append(all, Growth{Before: b, missing: true})
			continue
		}
		all = append(all, Growth{Before: b, After: after[at]})
	}
	return all
}

// Goroutines returns how many more goroutines the process has.
func (g Growth) Goroutines() int { return g.After.Goroutines - g.Before.Goroutines }

// Heap returns how many more bytes of heap the process has.
func (g Growth) Heap() int64 { return g.After.Heap - g.Before.Heap }

// Excess describes a growth beyond what is allowed; it is empty if there is none.
// when describes when Before was measured, for the text.
func (g Growth) Excess(when string) string {
	switch {
	case g.missing:
		return fmt.Sprintf("the usage of %s is not known", g.Before.Process)
	case g.Goroutines() > g.Before.Goroutines/10+MaxMoreGoroutines, g.Heap() > MaxMoreHeap:
		return fmt.Sprintf("%s has %s, and had %s %s", g.Before.Process, g.After, g.Before, when)
	default:
		return ""
	}
}

// AtBaseline reports whether no process uses more than the baseline allows.
func AtBaseline(baseline, now []Usage) bool {
	return !slices.ContainsFunc(Compare(baseline, now), func(g Growth) bool { return g.Excess("") != "" })
}
