package report

import (
	"math"
	"slices"
)

// Figure is one kind of measurement.
type Figure struct {
	Name, Unit string
	// Better is the direction of a gain: +1 for more, -1 for less.
	Better int
	// of is the figure of a run; NaN where it was not measured.
	of func(Run) float64
}

// Spread is a figure over the rounds.
type Spread struct {
	Median, Min, Max float64
	Rounds           int
}

// Known says whether it was measured at all.
func (s Spread) Known() bool { return s.Rounds > 0 }

// Figures are those that are compared and shown, in this order.
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
	{"CPU", "s/1000", -1, cpu},
	{"allocations", "/webhook", -1, allocations},
	{"wire", "B/webhook", -1, wire},
	{"errors", "", -1, func(r Run) float64 { return float64(r.Failed()) }},
}

var unknown = Latency{P50: math.NaN(), P95: math.NaN(), P99: math.NaN(), P999: math.NaN(), Max: math.NaN()}

func applied(r Run) Latency {
	if r.Applied == nil {
		return unknown
	}
	return *r.Applied
}

// cpu is that of all processes, without the sender.
func cpu(r Run) float64 {
	return total(r.CPU, func(seconds float64) float64 { return seconds })
}

func allocations(r Run) float64 {
	return total(r.Allocations, func(a Allocations) float64 { return a.Objects })
}

// wire is what goes between the roles, both ways, and not what goes to a database.
func wire(r Run) float64 {
	return total(r.Wire, func(w Wire) float64 { return w.To + w.From }, "database")
}

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

// Failed counts what was not accepted.
func (r Run) Failed() (count int64) {
	for _, n := range r.Errors {
		count += n
	}
	return count
}

// Select are the runs of a mode under a load.
func (r *Report) Select(mode, load string) []Run {
	var selected []Run
	for _, run := range r.Runs {
		if run.Mode == mode && run.Load == load {
			selected = append(selected, run)
		}
	}
	return selected
}

// Over is a figure over runs.
func (f Figure) Over(runs []Run) Spread {
	var values []float64
	for _, run := range runs {
		if v := f.of(run); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return spread(values)
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
