package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Sizes of a line chart, in pixels.
const (
	linesWidth, linesHeight = 720.0, 340.0
	marginLeft, marginRight = 56.0, 16.0
	marginTop, marginBottom = 12.0, 44.0
)

// lineChart has a line for each mode.
type lineChart struct {
	Title, XTitle, YTitle    string
	Width, Height            float64
	Left, Right, Top, Bottom float64
	Lines                    []line
	XTicks, YTicks           []tick
	Legend                   []legendEntry
}

type line struct {
	style
	Points string // the attribute of an SVG polyline
	Dots   []dot
}

type dot struct {
	X, Y  float64
	Title string
}

// series are the values of a mode.
type series struct {
	mode   string
	points []point
}

type point struct {
	x, y  float64
	title string
}

// latencyOverLoad returns a chart of how a latency grows with the accepted rate,
// with a point for each load; nil if no mode ran under several loads.
func latencyOverLoad(r *Report, f Figure) *lineChart {
	var loads []string // including those of --find-max
	for _, run := range r.Runs {
		if !slices.Contains(loads, run.Load) {
			loads = append(loads, run.Load)
		}
	}
	var all []series
	for _, mode := range r.Modes {
		s := series{mode: mode.Name}
		for _, load := range loads {
			runs := r.Select(mode.Name, load)
			x, y := figure("accepted").Over(runs), f.Over(runs)
			if x.Known() && y.Known() && y.Median > 0 {
				s.points = append(s.points, point{x.Median, y.Median, fmt.Sprintf("%s, %s: %s/s, %s ms", mode.Name, load, x.text(), y.text())})
			}
		}
		slices.SortFunc(s.points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
		if len(s.points) > 1 {
			all = append(all, s)
		}
	}
	return newLineChart("How "+f.Name+" grows with the load", "webhooks accepted per second", f.Name+", ms", all, nil)
}

// distribution returns a chart of the latency of the answers by percentile.
func distribution(r *Report, load string) *lineChart {
	var all []series
	percentiles := []string{"p50", "p95", "p99", "p99.9", "max"}
	for mode, runs := range r.measured(load) {
		s := series{mode: mode}
		for i, percentile := range percentiles {
			if y := figure("ack " + percentile).Over(runs); y.Known() && y.Median > 0 {
				s.points = append(s.points, point{float64(i), y.Median, fmt.Sprintf("%s, %s: %s ms", mode, percentile, y.text())})
			}
		}
		if len(s.points) > 0 {
			all = append(all, s)
		}
	}
	return newLineChart("Latency of the answer by percentile", "percentile of the webhooks", "ms", all, percentiles)
}

// newLineChart returns a chart of series; nil if there are none. names label the
// values 0, 1, 2 and so on of the x axis instead of numbers. The y axis is
// logarithmic, so that equal ratios of latencies are equal distances.
func newLineChart(title, xTitle, yTitle string, all []series, names []string) *lineChart {
	if len(all) == 0 {
		return nil
	}
	l := &lineChart{
		Title: title, XTitle: xTitle, YTitle: yTitle, Width: linesWidth, Height: linesHeight,
		Left: marginLeft, Right: linesWidth - marginRight, Top: marginTop, Bottom: linesHeight - marginBottom,
	}
	first := all[0].points[0]
	x := axis{low: 0, high: first.x, from: l.Left, to: l.Right}
	y := axis{low: first.y, high: first.y, from: l.Bottom, to: l.Top, logarithmic: true}
	for _, s := range all {
		for _, p := range s.points {
			x.high = max(x.high, p.x)
			y.low, y.high = min(y.low, p.y), max(y.high, p.y)
		}
	}
	y.low, y.high = roundDown(y.low), roundUp(y.high)
	for _, s := range all {
		drawn := line{style: styleOf(s.mode)}
		var points []string
		for _, p := range s.points {
			d := dot{x.at(p.x), y.at(p.y), p.title}
			drawn.Dots = append(drawn.Dots, d)
			points = append(points, fmt.Sprintf("%.1f,%.1f", d.X, d.Y))
		}
		drawn.Points = strings.Join(points, " ")
		l.Lines = append(l.Lines, drawn)
		l.Legend = append(l.Legend, legendEntry{drawn.Color, drawn.Dash, s.mode})
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
