package report

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// Compare writes how after differs from before: for each mode and load that both
// have, the ratio of the medians of each figure. A difference is within the noise if
// the ranges of the two overlap. With few rounds chance alone can separate them, so
// the odds of that are shown as well.
func Compare(before, after *Report, out io.Writer) error {
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
		for mode, b := range after.measured(load.Name) {
			if a := before.Select(mode, load.Name); len(a) > 0 {
				found = true
				p.compare(mode, load.Name, a, b)
			}
		}
	}
	p.compareLimits(before)
	if !found && len(before.Limits) == 0 {
		return errors.New("the two reports have no mode under the same load: run both with the same flags")
	}
	return p.err
}

func (p *printer) compare(mode, load string, a, b []Run) {
	p.line("\n%s, %s, %d and %d rounds%s", mode, load, len(a), len(b), odds(len(a), len(b)))
	rows := []string{"figure\tA\tB\tB/A\t"}
	for _, f := range Figures {
		before, after := f.Over(a), f.Over(b)
		if before.Known() && after.Known() && (before.Median != 0 || after.Median != 0) {
			rows = append(rows, fmt.Sprintf("%s %s\t%s", f.Name, f.Unit, comparison(f.Better, before, after)))
		}
	}
	p.table(rows)
}

func (p *printer) compareLimits(before *Report) {
	rows := []string{"mode\tA\tB\tB/A\t"}
	for _, mode := range p.Modes {
		old, _ := before.limitsOf(mode.Name)
		now, _ := p.limitsOf(mode.Name)
		if a, b := spread(old), spread(now); a.Known() && b.Known() {
			rows = append(rows, mode.Name+"\t"+comparison(+1, a, b))
		}
	}
	if len(rows) > 1 {
		p.line("\nhighest sustained rate")
		p.table(rows)
	}
}

// comparison returns cells with the medians, their ratio and the verdict.
func comparison(better int, before, after Spread) string {
	ratio := "-"
	if before.Median != 0 {
		ratio = fmt.Sprintf("%.2f", after.Median/before.Median)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s", before.text(), after.text(), ratio,
		verdict(better, direction(before, after), min(before.Rounds, after.Rounds)))
}

// BaseOf returns the name of a mode of the base, the build that is compared with.
func BaseOf(mode string) string { return mode + "@base" }

// againstBase writes how each mode differs from the same mode of the base, by the
// ratios of the rounds.
func (p *printer) againstBase() {
	for _, load := range p.Loads {
		for mode, now := range p.measured(load.Name) {
			base := p.Select(BaseOf(mode), load.Name)
			if len(base) == 0 {
				continue
			}
			rounds := min(len(base), len(now))
			p.line("\n%s against the base, %s, %d rounds%s", mode, load.Name, rounds, pairedOdds(rounds))
			rows := []string{"figure\tbase\tnow\tratio\tfrom\tto\t"}
			for _, f := range Figures {
				if s := spread(f.ratios(base, now)); s.Known() {
					rows = append(rows, fmt.Sprintf("%s %s\t%s\t%s\t%.3f\t%.3f\t%.3f\t%s", f.Name, f.Unit,
						f.Over(base).text(), f.Over(now).text(), s.Median, s.Min, s.Max, verdict(f.Better, direction(one, s), s.Rounds)))
				}
			}
			p.table(rows)
		}
	}
}

// one is what ratios are compared with.
var one = Spread{Min: 1, Max: 1}

// direction returns +1 if all rounds of after are above all rounds of before, -1 if
// all are below, and 0 if they overlap.
func direction(before, after Spread) int {
	switch {
	case after.Min > before.Max:
		return +1
	case after.Max < before.Min:
		return -1
	default:
		return 0
	}
}

func verdict(better, direction, rounds int) string {
	switch {
	case rounds < 2:
		return "one round does not show the noise"
	case direction == 0:
		return "within the noise"
	case direction == better:
		return "better"
	default:
		return "worse"
	}
}

// odds describes how often chance alone separates the ranges of a and b rounds of
// the same build: in two of all orders that their figures can have.
func odds(a, b int) string {
	sequences := 1.0
	for i := 1; i <= a; i++ {
		sequences *= float64(b+i) / float64(i)
	}
	return oddsText(min(a, b), sequences/2)
}

// pairedOdds describes how often chance alone puts the ratios of all rounds of the
// same build on one side of 1.
func pairedOdds(rounds int) string { return oddsText(rounds, math.Exp2(float64(min(rounds-1, 30)))) }

func oddsText(rounds int, figures float64) string {
	if rounds < 2 {
		return ""
	}
	return fmt.Sprintf("; chance alone would call 1 figure of %.0f different", math.Round(figures))
}
