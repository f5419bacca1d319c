package report

import (
	"maps"
	"slices"
)

// Sizes of a bar chart, in pixels.
const (
	labelWidth, barsWidth, valueWidth = 150.0, 460.0, 110.0
	barHeight, barGap, axisHeight     = 14.0, 8.0, 24.0
)

// barChart has a row for each mode.
type barChart struct {
	Title         string
	Width, Height float64
	Rows          []barRow
	Ticks         []tick
	Legend        []legendEntry
	// Bottom is the position of the axis.
	Bottom float64
}

type barRow struct {
	Label     string
	Y, Middle float64
	Parts     []barPart
	ValueX    float64
	Value     string
	Spread    bool // whether there is a line from Min to Max
	Min, Max  float64
}

// barPart is a section of a bar.
type barPart struct {
	X, Width float64
	Color    string
	Title    string
}

// barsOf returns a chart of a figure for each mode, with its spread; nil if no mode
// has the figure.
func barsOf(r *Report, title string, f Figure, load string) *barChart {
	b := &barChart{Title: title}
	highest := 0.0
	for _, runs := range r.measured(load) {
		highest = max(highest, f.Over(runs).Max)
	}
	x := b.axis(highest)
	for mode, runs := range r.measured(load) {
		if s := f.Over(runs); s.Known() {
			row := b.add(mode, s.text(), x.at(s.Max))
			row.Parts = []barPart{{x.at(0), x.at(s.Median) - x.at(0), styleOf(mode).Color, ""}}
			row.Spread, row.Min, row.Max = s.Rounds > 1, x.at(s.Min), x.at(s.Max)
		}
	}
	return b.finish()
}

// cpuBars returns a chart of the processor time of each mode, by process.
func cpuBars(r *Report, load string) *barChart {
	b := &barChart{Title: "CPU seconds per 1,000 webhooks, by process"}
	highest, processes := 0.0, make(map[string]bool)
	for _, runs := range r.measured(load) {
		highest = max(highest, figure("CPU").Over(runs).Median)
		for _, run := range runs {
			for name := range run.CPU {
				processes[name] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(processes))
	x := b.axis(highest)
	for mode, runs := range r.measured(load) {
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
		b.add(mode, all.text(), x.at(end)).Parts = parts
	}
	for i, name := range names {
		b.Legend = append(b.Legend, legendEntry{Color: processColor(i), Text: name})
	}
	return b.finish()
}

// axis sets the ticks and returns an axis that begins at 0, so that the lengths of
// the bars are proportional to their values.
func (b *barChart) axis(highest float64) axis {
	x := axis{low: 0, high: highest, from: labelWidth, to: labelWidth + barsWidth}
	b.Ticks = x.ticks()
	return x
}

func (b *barChart) add(label, value string, end float64) *barRow {
	y := float64(len(b.Rows)) * (barHeight + barGap)
	b.Rows = append(b.Rows, barRow{Label: label, Y: y, Middle: y + barHeight/2, Value: value, ValueX: end + 6})
	return &b.Rows[len(b.Rows)-1]
}

// finish sets the size of the chart; it returns nil for a chart without rows.
func (b *barChart) finish() *barChart {
	if len(b.Rows) == 0 {
		return nil
	}
	b.Width, b.Bottom = labelWidth+barsWidth+valueWidth, float64(len(b.Rows))*(barHeight+barGap)
	b.Height = b.Bottom + axisHeight
	return b
}
