package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Print writes the report as text.
func (r *Report) Print(out io.Writer) error {
	p := &printer{Report: r, out: out}
	p.line("%s", p.Command)
	p.line("payrelay %s, %s", p.Version, p.Began.Format(time.RFC3339))
	p.line("%s, load %.1f before", p.Machine, p.Machine.Load)
	p.line("workload %s, %s", p.Workload, p.Servers())
	for _, load := range r.Loads {
		p.load(load.Name)
	}
	for _, load := range r.Loads {
		p.answers(load.Name)
	}
	p.limits()
	p.againstBase()
	p.line("\nwires")
	for _, m := range p.Modes {
		p.line("  %-16s %s", m.Name, m.Wire)
	}
	p.check()
	return p.err
}

// printer writes text and keeps the first error.
type printer struct {
	*Report
	out io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// table writes rows whose cells are separated by tabs, aligned to the right.
func (p *printer) table(rows []string) {
	if p.err != nil {
		return
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(t, row+"\t") // Flush returns the error
	}
	p.err = t.Flush()
}

func (p *printer) load(load string) {
	rounds := 0
	speed := []string{"mode\taccepted/s\tspread\tapplied/s\tack p50\tp95\tp99\tp99.9\tmax ms\tapplied p50\tp99 ms\terrors"}
	cost := []string{"mode\tCPU s/1000\tby process\tsender\tpeak MiB\tallocs\tKiB\twire B\tbatch"}
	for mode, runs := range p.measured(load) {
		rounds = max(rounds, len(runs))
		speed = append(speed, speedRow(mode, runs))
		cost = append(cost, costRow(mode, runs))
	}
	if rounds == 0 {
		return
	}
	p.line("\n%s, median of %d", load, rounds)
	p.table(speed)
	p.line("")
	p.table(cost)
}

func speedRow(mode string, runs []Run) string {
	cells := []string{mode}
	for _, f := range Figures {
		if f.Unit != "/s" && f.Unit != "ms" {
			continue
		}
		s := f.Over(runs)
		cells = append(cells, s.text())
		if f.Name == "accepted" {
			cells = append(cells, s.relative())
		}
	}
	counts := make(map[string]int64)
	for _, r := range runs {
		for kind, n := range r.Errors {
			counts[kind] += n
		}
	}
	errors := []string{"0"}
	if len(counts) > 0 {
		errors = nil
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		errors = append(errors, fmt.Sprintf("%d × %s", counts[kind], kind))
	}
	return strings.Join(append(cells, strings.Join(errors, ", ")), "\t")
}

func costRow(mode string, runs []Run) string {
	sender := Figure{of: func(r Run) float64 { return r.SenderCPU }}
	kilobytes := Figure{of: func(r Run) float64 {
		return total(r.Allocations, func(a Allocations) float64 { return a.Bytes / 1024 })
	}}
	return strings.Join([]string{
		mode,
		figure("CPU").Over(runs).text(),
		byName(runs, "%s %.3f", func(r Run) map[string]float64 { return r.CPU }),
		sender.Over(runs).text(),
		byName(runs, "%s %.0f", func(r Run) map[string]float64 {
			peaks := make(map[string]float64)
			for name, bytes := range r.PeakMemory {
				peaks[name] = float64(bytes) / (1 << 20)
			}
			return peaks
		}),
		figure("allocations").Over(runs).text(),
		kilobytes.Over(runs).text(),
		figure("wire").Over(runs).text(),
		byName(runs, "%s %.1f", func(r Run) map[string]float64 { return r.Batches }),
	}, "\t")
}

// byName lists the median for each name, such as "api 0.100, ingest 0.050".
func byName(runs []Run, format string, of func(Run) map[string]float64) string {
	values := make(map[string][]float64)
	for _, r := range runs {
		for name, value := range of(r) {
			values[name] = append(values[name], value)
		}
	}
	if len(values) == 0 {
		return "-"
	}
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		texts = append(texts, fmt.Sprintf(format, name, spread(values[name]).Median))
	}
	return strings.Join(texts, ", ")
}

func (p *printer) answers(load string) {
	answers := p.Report.answers(load)
	if len(answers) == 0 {
		return
	}
	p.line("\n%s. %s", load, answersNote)
	for _, a := range answers {
		p.line("\n%s", a.Question)
		rows := []string{"\t" + strings.Join(inAnswers, "\t")}
		for _, row := range a.Rows {
			rows = append(rows, row.String()+"\t"+strings.Join(row.Cells, "\t"))
		}
		p.table(rows)
	}
}

func (p *printer) limits() {
	if len(p.Limits) == 0 {
		return
	}
	rows := []string{"mode\thighest rate/s\tspread\tthen"}
	for _, mode := range p.Modes {
		rates, broke := p.limitsOf(mode.Name)
		if s := spread(rates); s.Known() {
			rows = append(rows, strings.Join([]string{mode.Name, s.text(), s.relative(), broke}, "\t"))
		}
	}
	p.line("\nhighest sustained rate")
	p.table(rows)
}

// limitsOf returns the highest rate of a mode in each round and what broke in the
// last one.
func (r *Report) limitsOf(mode string) (rates []float64, broke string) {
	for _, l := range r.Limits {
		if l.Mode == mode {
			rates, broke = append(rates, l.Rate), l.Broke
		}
	}
	return rates, broke
}

// check writes the result of the check, which comes last so that it is not missed.
func (p *printer) check() {
	switch {
	case len(p.Void) > 0:
		p.line("\nVOID: do not use these figures.")
		for _, why := range p.Void {
			p.line("  %s", why)
		}
	case p.Unchecked != "":
		p.line("\nNot checked: %s", p.Unchecked)
	default:
		p.line("\nChecked: each of the %d webhooks accepted is in the database once, and every order and dispute has the state that they give it.", p.accepted())
	}
}
