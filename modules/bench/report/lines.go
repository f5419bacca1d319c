package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Sizes of a plot of lines, in pixels.
const (
	linesWidth, linesHeight           = 720.0, 340.0
	marginLeft, marginRight           = 56.0, 16.0
	marginTop, marginBottom, tickRoom = 12.0, 44.0, 18.0
)

// lines is a plot with a line for each mode.
type lines struct {
	Title, XTitle, YTitle    string
	Width, Height            float64
	Left, Right, Top, Bottom float64
	Lines                    []line
	XTicks, YTicks           []tick
	Legend                   []legendEntry
}

type line struct {
	style
	Points string // as SVG has them
	Dots   []dot
}

type dot struct {
	X, Y  float64
	Title string
}

// point is one before it has a place.
type point struct {
	x, y  float64
	title string
}

// series are the points of a mode.
type series struct {
	mode   string
	points []point
}

// curves show how a latency grows with what is accepted: one point for each load.
func (r *Report) curves(title string, f Figure) *lines {
	var all []series
	for _, mode := range r.Modes {
		s := series{mode: mode.Name}
		for _, name := range r.loadNames() {
			runs := r.Select(mode.Name, name)
			x, y := figure("accepted").Over(runs), f.Over(runs)
			if x.Known() && y.Known() && y.Median > 0 {
				s.points = append(s.points, point{x.Median, y.Median, fmt.Sprintf("%s, %s: %s/s, %s ms", mode.Name, name, x.text(), y.text())})
			}
		}
		slices.SortFunc(s.points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
		if len(s.points) > 1 {
			all = append(all, s)
		}
	}
	return newLines(title, "webhooks accepted per second", f.Name+", ms", all, nil)
}

// loadNames are all loads that anything ran under, also those of a search.
func (r *Report) loadNames() []string {
	var names []string
	seen := make(map[string]bool)
	for _, run := range r.Runs {
		if !seen[run.Load] {
			seen[run.Load] = true
			names = append(names, run.Load)
		}
	}
	return names
}

// percentiles are where a distribution is read.
var percentiles = []string{"ack p50", "ack p95", "ack p99", "ack p99.9", "ack max"}

// distribution shows the latency of the answers by percentile.
func (r *Report) distribution(load string) *lines {
	var all []series
	var names []string
	for _, name := range percentiles {
		names = append(names, strings.TrimPrefix(name, "ack "))
	}
	for _, mode := range r.Modes {
		s := series{mode: mode.Name}
		for i, name := range percentiles {
			if y := figure(name).Over(r.Select(mode.Name, load)); y.Known() && y.Median > 0 {
				s.points = append(s.points, point{float64(i), y.Median, fmt.Sprintf("%s, %s: %s ms", mode.Name, names[i], y.text())})
			}
		}
		if len(s.points) > 0 {
			all = append(all, s)
		}
	}
	return newLines("Latency of the answer by percentile", "percentile of the webhooks", "ms", all, names)
}

// newLines places points; names stand on the x axis instead of numbers. Latencies
// have a logarithmic axis, on which twice as slow is as far everywhere.
func newLines(title, xTitle, yTitle string, all []series, names []string) *lines {
	if len(all) == 0 {
		return nil
	}
	l := &lines{
		Title: title, XTitle: xTitle, YTitle: yTitle, Width: linesWidth, Height: linesHeight,
		Left: marginLeft, Right: linesWidth - marginRight, Top: marginTop, Bottom: linesHeight - marginBottom,
	}
	x, y := l.scales(all)
	for _, s := range all {
		st := styleOf(s.mode)
		drawn := line{style: st}
		var places []string
		for _, p := range s.points {
			d := dot{x.at(p.x), y.at(p.y), p.title}
			drawn.Dots = append(drawn.Dots, d)
			places = append(places, fmt.Sprintf("%.1f,%.1f", d.X, d.Y))
		}
		drawn.Points = strings.Join(places, " ")
		l.Lines = append(l.Lines, drawn)
		l.Legend = append(l.Legend, legendEntry{st.Color, st.Dash, s.mode})
	}
	l.XTicks, l.YTicks = x.ticks(), y.ticks()
	if names != nil {
		l.XTicks = nil
		for i, name := range names {
			l.XTicks = append(l.XTicks, tick{x.at(float64(i)), name})
		}
	}
	return l
}

func (l *lines) scales(all []series) (x, y scale) {
	first := all[0].points[0]
	x = scale{low: 0, high: first.x, from: l.Left, to: l.Right}
	y = scale{low: first.y, high: first.y, from: l.Bottom, to: l.Top, logarithms: true}
	for _, s := range all {
		for _, p := range s.points {
			x.high = max(x.high, p.x)
			y.low, y.high = min(y.low, p.y), max(y.high, p.y)
		}
	}
	y.low, y.high = roundDown(y.low), roundUp(y.high)
	return x, y
}
