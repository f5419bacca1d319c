package report

import (
	"maps"
	"slices"
)

// Sizes of a plot of bars, in pixels.
const (
	labelWidth, barsWidth, valueWidth = 150.0, 460.0, 110.0
	barHeight, barGap, axisHeight     = 14.0, 8.0, 24.0
)

// bars is a plot with a row for each mode.
type bars struct {
	Title, Unit   string
	Width, Height float64
	Rows          []barRow
	Ticks         []tick
	Legend        []legendEntry
	// Bottom is where the axis is.
	Bottom float64
}

type barRow struct {
	Label         string
	Y, Middle     float64
	Parts         []barPart
	ValueX        float64
	Value         string
	Spread        bool
	SpreadA, High float64 // the ends of the line that shows the spread
}

// barPart is a piece of a bar.
type barPart struct {
	X, Width float64
	Color    string
	Title    string
}

type legendEntry struct {
	Color, Dash, Text string
}

// measuredBars shows a figure of each mode, with its spread.
func (r *Report) measuredBars(title string, f Figure, load string) *bars {
	b := &bars{Title: title, Unit: f.Unit}
	highest := 0.0
	for _, mode := range r.Modes {
		highest = max(highest, f.Over(r.Select(mode.Name, load)).Max)
	}
	x := b.axis(highest)
	for _, mode := range r.Modes {
		s := f.Over(r.Select(mode.Name, load))
		if !s.Known() {
			continue
		}
		row := b.add(mode.Name, s.text(), x.at(s.Max))
		row.Parts = []barPart{{x.at(0), x.at(s.Median) - x.at(0), styleOf(mode.Name).Color, ""}}
		row.Spread, row.SpreadA, row.High = s.Rounds > 1, x.at(s.Min), x.at(s.Max)
	}
	return b.finish()
}

// cpuBars shows who spends the processors' time.
func (r *Report) cpuBars(load string) *bars {
	b := &bars{Title: "CPU seconds per 1,000 webhooks, by process", Unit: "s"}
	highest, processes := 0.0, make(map[string]bool)
	for _, mode := range r.Modes {
		runs := r.Select(mode.Name, load)
		highest = max(highest, figure("CPU").Over(runs).Median)
		for _, run := range runs {
			for name := range run.CPU {
				processes[name] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(processes))
	x := b.axis(highest)
	for _, mode := range r.Modes {
		runs := r.Select(mode.Name, load)
		all := figure("CPU").Over(runs)
		if !all.Known() {
			continue
		}
		end, parts := 0.0, []barPart(nil)
		for i, name := range names {
			part := Figure{of: func(run Run) float64 { return run.CPU[name] }}.Over(runs)
			parts = append(parts, barPart{x.at(end), x.at(end+part.Median) - x.at(end), processColor(i), name + " " + part.text()})
			end += part.Median
		}
		b.add(mode.Name, all.text(), x.at(end)).Parts = parts
	}
	for i, name := range names {
		b.Legend = append(b.Legend, legendEntry{Color: processColor(i), Text: name})
	}
	return b.finish()
}

// axis begins at 0, so that bars are as long as what they stand for.
func (b *bars) axis(highest float64) scale {
	x := scale{low: 0, high: highest, from: labelWidth, to: labelWidth + barsWidth}
	b.Ticks = x.ticks()
	return x
}

func (b *bars) add(label, value string, end float64) *barRow {
	y := float64(len(b.Rows)) * (barHeight + barGap)
	b.Rows = append(b.Rows, barRow{Label: label, Y: y, Middle: y + barHeight/2, Value: value, ValueX: end + 6})
	return &b.Rows[len(b.Rows)-1]
}

// finish knows how large the plot became; one without rows is none.
func (b *bars) finish() *bars {
	if len(b.Rows) == 0 {
		return nil
	}
	b.Width, b.Bottom = labelWidth+barsWidth+valueWidth, float64(len(b.Rows))*(barHeight+barGap)
	b.Height = b.Bottom + axisHeight
	return b
}
