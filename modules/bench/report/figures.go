package report

import (
	"fmt"
	"iter"
	"math"
	"slices"
)

// Figure is a quantity that runs measure.
type Figure struct {
	Name, Unit string
	// Better is +1 if more is better, and -1 if less is.
	Better int
	// of returns the figure of a run; NaN if it was not measured.
	of func(Run) float64
}

// Figures are all figures that are shown and compared, in this order.
var Figures = []Figure{
	{"accepted", "/s", +1, func(r Run) float64 { return r.AcceptedPerSecond }},
	{"applied", "/s", +1, func(r Run) float64 { return r.AppliedPerSecond }},
	{"ack p50", "ms", -1, func(r Run) float64 { return r.Ack.P50 }},
	{"ack p95", "ms", -1, func(r Run) float64 { return r.Ack.P95 }},
	{"ack p99", "ms", -1, func(r Run) float64 { return r.Ack.P99 }},
	{"ack p99.9", "ms", -1, func(r Run) float64 { return r.Ack.P999 }},
	{"ack max", "ms", -1, func(r Run) float64 { return r.Ack.Max }},
	{"applied p50", "ms", -1, func(r Run) float64 { return applied(r).P50 }},
	{"applied p99", "ms", -1, func(r Run) float64 { return applied(r).P99 }},
	// The processor time of all processes but the sender.
	{"CPU", "s/1000", -1, func(r Run) float64 {
		return total(r.CPU, func(seconds float64) float64 { return seconds })
	}},
	{"allocations", "/webhook", -1, func(r Run) float64 {
		return total(r.Allocations, func(a Allocations) float64 { return a.Objects })
	}},
	// The bytes between the roles, in both directions.
	{"wire", "B/webhook", -1, func(r Run) float64 {
		return total(r.Wire, func(w Wire) float64 { return w.To + w.From }, "database")
	}},
	{"errors", "", -1, func(r Run) float64 { return float64(r.Failed()) }},
}

// figure returns the element of Figures with a name.
func figure(name string) Figure {
	at := slices.IndexFunc(Figures, func(f Figure) bool { return f.Name == name })
	return Figures[at]
}

func applied(r Run) Latency {
	if r.Applied == nil {
		return Latency{P50: math.NaN(), P95: math.NaN(), P99: math.NaN(), P999: math.NaN(), Max: math.NaN()}
	}
	return *r.Applied
}

// total returns the sum over all names but some; NaN if there are none.
func total[T any](of map[string]T, value func(T) float64, without ...string) float64 {
	sum, known := 0.0, false
	for name, part := range of {
		if !slices.Contains(without, name) {
			sum, known = sum+value(part), true
		}
	}
	if !known {
		return math.NaN()
	}
	return sum
}

// Failed returns the number of webhooks that were not accepted.
func (r Run) Failed() (count int64) {
	for _, n := range r.Errors {
		count += n
	}
	return count
}

// Select returns the runs of a mode under a load.
func (r *Report) Select(mode, load string) []Run {
	var selected []Run
	for _, run := range r.Runs {
		if run.Mode == mode && run.Load == load {
			selected = append(selected, run)
		}
	}
	return selected
}

// measured returns the modes that have runs under a load, with these runs.
func (r *Report) measured(load string) iter.Seq2[string, []Run] {
	return func(yield func(string, []Run) bool) {
		for _, mode := range r.Modes {
			if runs := r.Select(mode.Name, load); len(runs) > 0 && !yield(mode.Name, runs) {
				return
			}
		}
	}
}

// Over returns the spread of the figure over runs.
func (f Figure) Over(runs []Run) Spread {
	var values []float64
	for _, run := range runs {
		if v := f.of(run); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return spread(values)
}

// ratios returns the figure of now divided by that of base for each round that has
// both. Runs of one round follow each other, so that what slows the machine down
// for a while affects both and hardly changes their ratio.
func (f Figure) ratios(base, now []Run) (ratios []float64) {
	for _, b := range base {
		for _, n := range now {
			if r := f.of(n) / f.of(b); n.Round == b.Round && !math.IsNaN(r) && !math.IsInf(r, 0) {
				ratios = append(ratios, r)
			}
		}
	}
	return ratios
}

// Spread is the distribution of a figure, or of its ratios, over the rounds.
type Spread struct {
	Median, Min, Max float64
	Rounds           int
}

func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	values = slices.Sorted(slices.Values(values))
	middle := len(values) / 2
	median := values[middle]
	if len(values)%2 == 0 {
		median = (values[middle-1] + values[middle]) / 2
	}
	return Spread{Median: median, Min: values[0], Max: values[len(values)-1], Rounds: len(values)}
}

// Known reports whether any round measured the figure.
func (s Spread) Known() bool { return s.Rounds > 0 }

// text returns the median with three significant digits; "-" if it is not known.
func (s Spread) text() string {
	switch {
	case !s.Known():
		return "-"
	case s.Median >= 100:
		return fmt.Sprintf("%.0f", s.Median)
	case s.Median >= 10:
		return fmt.Sprintf("%.1f", s.Median)
	case s.Median >= 1:
		return fmt.Sprintf("%.2f", s.Median)
	default:
		return fmt.Sprintf("%.3f", s.Median)
	}
}

// relative returns the largest distance of a round from the median, in percent.
func (s Spread) relative() string {
	if s.Rounds < 2 || s.Median == 0 {
		return "-"
	}
	return fmt.Sprintf("±%.0f%%", 100*max(s.Max-s.Median, s.Median-s.Min)/s.Median)
}
