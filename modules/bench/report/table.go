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

// Print writes the report for a terminal.
func (r *Report) Print(out io.Writer) error {
	p := &printer{Report: r, out: out}
	p.heading()
	for _, load := range r.Loads {
		p.load(load)
	}
	for _, load := range r.Loads {
		p.ratios(load)
	}
	p.limits()
	p.againstBase()
	p.modes()
	p.verdict()
	return p.err
}

// printer keeps the first error of its writer.
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

func (p *printer) heading() {
	p.line("%s", p.Command)
	p.line("payrelay %s, %s", p.Version, p.Began.Format(time.RFC3339))
	p.line("%s, load %.1f before", p.Machine, p.Machine.Load)
	p.line("workload %s, %s", p.Workload, p.Servers())
}

// table writes rows whose cells are separated by tabs, numbers to the right.
func (p *printer) table(rows []string) {
	if p.err != nil {
		return
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(t, row+"\t") // Flush has the error
	}
	p.err = t.Flush()
}

func (p *printer) load(load Load) {
	rounds := 0
	speed := []string{"mode\taccepted/s\tspread\tapplied/s\tack p50\tp95\tp99\tp99.9\tmax ms\tapplied p50\tp99 ms\terrors"}
	cost := []string{"mode\tCPU s/1000\tby process\tsender\tpeak MiB\tallocs\tKiB\twire B\tbatch"}
	for _, mode := range p.Modes {
		runs := p.Select(mode.Name, load.Name)
		if len(runs) == 0 {
			continue
		}
		rounds = max(rounds, len(runs))
		speed = append(speed, speedRow(mode.Name, runs))
		cost = append(cost, costRow(mode.Name, runs))
	}
	if rounds == 0 {
		return
	}
	p.line("\n%s, median of %d", load.Name, rounds)
	p.table(speed)
	p.line("")
	p.table(cost)
}

func (p *printer) ratios(load Load) {
	answers := p.Report.answers(load.Name)
	if len(answers) == 0 {
		return
	}
	p.line("\n%s. %s", load.Name, answersNote)
	for _, a := range answers {
		p.line("\n%s", a.Question)
		rows := []string{"\t" + strings.Join(inAnswers, "\t")}
		for _, row := range a.Rows {
			rows = append(rows, row.String()+"\t"+strings.Join(row.Cells, "\t"))
		}
		p.table(rows)
	}
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
	return strings.Join(append(cells, errorText(runs)), "\t")
}

// text is the median with as many digits as mean something.
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

// relative is how far the rounds are from the median, at most.
func (s Spread) relative() string {
	if s.Rounds < 2 || s.Median == 0 {
		return "-"
	}
	return fmt.Sprintf("±%.0f%%", 100*max(s.Max-s.Median, s.Median-s.Min)/s.Median)
}

func errorText(runs []Run) string {
	counts := make(map[string]int64)
	for _, r := range runs {
		for kind, n := range r.Errors {
			counts[kind] += n
		}
	}
	if len(counts) == 0 {
		return "0"
	}
	var texts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		texts = append(texts, fmt.Sprintf("%d × %s", counts[kind], kind))
	}
	return strings.Join(texts, ", ")
}

func costRow(mode string, runs []Run) string {
	kilobytes := Figure{of: func(r Run) float64 {
		return total(r.Allocations, func(a Allocations) float64 { return a.Bytes / 1024 })
	}}
	return strings.Join([]string{
		mode,
		figure("CPU").Over(runs).text(),
		byName(runs, "%s %.3f", func(r Run) map[string]float64 { return r.CPU }),
		Figure{of: func(r Run) float64 { return r.SenderCPU }}.Over(runs).text(),
		byName(runs, "%s %.0f", peaks),
		figure("allocations").Over(runs).text(),
		kilobytes.Over(runs).text(),
		figure("wire").Over(runs).text(),
		byName(runs, "%s %.1f", func(r Run) map[string]float64 { return r.Batches }),
	}, "\t")
}

func figure(name string) Figure {
	at := slices.IndexFunc(Figures, func(f Figure) bool { return f.Name == name })
	return Figures[at]
}

func peaks(r Run) map[string]float64 {
	peaks := make(map[string]float64)
	for name, bytes := range r.PeakMemory {
		peaks[name] = float64(bytes) / (1 << 20)
	}
	return peaks
}

// byName lists the medians of figures that have names.
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
	p.line("\nhighest rate that was kept up")
	p.table(rows)
}

func (r *Report) limitsOf(mode string) (rates []float64, broke string) {
	for _, l := range r.Limits {
		if l.Mode == mode {
			rates, broke = append(rates, l.Rate), l.Broke
		}
	}
	return rates, broke
}

func (p *printer) modes() {
	p.line("\nwires")
	for _, m := range p.Modes {
		p.line("  %-16s %s", m.Name, m.Wire)
	}
}

// verdict comes last, where it is seen.
func (p *printer) verdict() {
	switch {
	case len(p.Void) > 0:
		p.line("\nVOID: these figures are of no use.")
		for _, why := range p.Void {
			p.line("  %s", why)
		}
	case p.Unchecked != "":
		p.line("\nNot checked: %s", p.Unchecked)
	default:
		var accepted int64
		for _, r := range p.Runs {
			accepted += r.Accepted
		}
		p.line("\nChecked: each of the %d webhooks accepted is in the database, once, and every order and dispute is as they say.", accepted)
	}
}
