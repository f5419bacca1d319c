package report

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// Compare writes how after differs from before: for each mode and load that both
// have, the ratio of the medians of each figure. A difference is within the noise
// when the ranges of the two overlap; with few rounds chance alone can keep them
// apart, so that the odds of it are told.
func Compare(before, after *Report, out io.Writer) error {
	if err := comparable(before, after); err != nil {
		return err
	}
	p := &printer{Report: after, out: out}
	p.line("A: %s\n   %s\nB: %s\n   %s", before.Command, before.Version, after.Command, after.Version)
	if before.Machine.String() != after.Machine.String() {
		p.line("The machines differ: %s, and %s.", before.Machine, after.Machine)
	}
	if before.Servers() != after.Servers() {
		p.line("The servers differ: %s, and %s.", before.Servers(), after.Servers())
	}
	found := false
	for _, load := range after.Loads {
		for _, mode := range after.Modes {
			a, b := before.Select(mode.Name, load.Name), after.Select(mode.Name, load.Name)
			if len(a) > 0 && len(b) > 0 {
				found = true
				p.compare(mode.Name, load.Name, a, b)
			}
		}
	}
	p.compareLimits(before)
	if !found && len(before.Limits) == 0 {
		return errors.New("the two reports have no mode under the same load: run both with the same flags")
	}
	return p.err
}

// comparable refuses what would be a comparison of different things.
func comparable(before, after *Report) error {
	for _, r := range []*Report{before, after} {
		if len(r.Void) > 0 {
			return fmt.Errorf("the figures of %q are void: %s", r.Command, r.Void[0])
		}
	}
	switch {
	case before.Workload != after.Workload:
		return fmt.Errorf("the workloads differ: %s, and %s", before.Workload, after.Workload)
	case before.Database != after.Database:
		return fmt.Errorf("the databases differ: %s, and %s", before.Database, after.Database)
	default:
		return nil
	}
}

func (p *printer) compare(mode, load string, a, b []Run) {
	p.line("\n%s, %s, %d and %d rounds%s", mode, load, len(a), len(b), odds(len(a), len(b)))
	rows := []string{"figure\tA\tB\tB/A\t"}
	for _, f := range Figures {
		before, after := f.Over(a), f.Over(b)
		if before.Known() && after.Known() && (before.Median != 0 || after.Median != 0) {
			rows = append(rows, fmt.Sprintf("%s %s\t%s\t%s\t%s\t%s", f.Name, f.Unit, before.text(), after.text(), ratio(before, after), judge(f.Better, before, after)))
		}
	}
	p.table(rows)
}

func ratio(before, after Spread) string {
	if before.Median == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", after.Median/before.Median)
}

// judge says what a difference amounts to.
func judge(better int, before, after Spread) string {
	switch {
	case before.Rounds < 2 || after.Rounds < 2:
		return "one round tells nothing about noise"
	case before.Min <= after.Max && after.Min <= before.Max:
		return "within the noise"
	case (after.Median > before.Median) == (better > 0):
		return "better"
	default:
		return "worse"
	}
}

// odds are those that chance keeps the ranges of so many equal rounds apart: two
// of all the sequences in which they can come.
func odds(a, b int) string {
	if a < 2 || b < 2 {
		return ""
	}
	sequences := 1.0
	for i := 1; i <= a; i++ {
		sequences *= float64(b+i) / float64(i)
	}
	return fmt.Sprintf("; chance alone would call 1 figure of %.0f different", math.Round(sequences/2))
}

func (p *printer) compareLimits(before *Report) {
	rows := []string{"mode\tA\tB\tB/A\t"}
	for _, mode := range p.Modes {
		old, _ := before.limitsOf(mode.Name)
		now, _ := p.limitsOf(mode.Name)
		a, b := spread(old), spread(now)
		if a.Known() && b.Known() {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", mode.Name, a.text(), b.text(), ratio(a, b), judge(+1, a, b)))
		}
	}
	if len(rows) > 1 {
		p.line("\nhighest rate that was kept up")
		p.table(rows)
	}
}
