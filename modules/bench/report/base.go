package report

import (
	"fmt"
	"math"
)

// BaseOf is the name of a mode of the base, the build that is compared with.
func BaseOf(mode string) string { return mode + "@base" }

// againstBase writes how a mode differs from that of the base, round by round:
// the two ran one after the other, so what slowed the machine slowed both. A
// difference is told when it is on the same side in every round.
func (p *printer) againstBase() {
	for _, load := range p.Loads {
		for _, mode := range p.Modes {
			base, now := p.Select(BaseOf(mode.Name), load.Name), p.Select(mode.Name, load.Name)
			if len(base) > 0 && len(now) > 0 {
				p.pairs(mode.Name, load.Name, base, now)
			}
		}
	}
}

func (p *printer) pairs(mode, load string, base, now []Run) {
	rounds := min(len(base), len(now))
	p.line("\n%s against the base, %s, %d rounds%s", mode, load, rounds, pairedOdds(rounds))
	rows := []string{"figure\tbase\tnow\tratio\tfrom\tto\t"}
	for _, f := range Figures {
		ratios := f.ratios(base, now)
		if s := spread(ratios); s.Known() {
			rows = append(rows, fmt.Sprintf("%s %s\t%s\t%s\t%.3f\t%.3f\t%.3f\t%s", f.Name, f.Unit,
				f.Over(base).text(), f.Over(now).text(), s.Median, s.Min, s.Max, judgePairs(f.Better, s)))
		}
	}
	p.table(rows)
}

// ratios are now against base, of each round that has both.
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

func judgePairs(better int, ratio Spread) string {
	switch {
	case ratio.Rounds < 2:
		return "one round tells nothing about noise"
	case ratio.agree() == 0:
		return "within the noise"
	case ratio.agree() == better:
		return "better"
	default:
		return "worse"
	}
}

// agree is +1 if all ratios are above 1, -1 if all are below, and otherwise 0.
func (s Spread) agree() int {
	switch {
	case s.Min > 1:
		return +1
	case s.Max < 1:
		return -1
	default:
		return 0
	}
}

// pairedOdds are those that equal builds are on the same side in every round.
func pairedOdds(rounds int) string {
	if rounds < 2 {
		return ""
	}
	return fmt.Sprintf("; chance alone would call 1 figure of %d different", 1<<min(rounds-1, 30))
}
