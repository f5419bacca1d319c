package report

import (
	"fmt"
	"math"
	"strings"
)

// axis maps values to positions in a chart, in pixels.
type axis struct {
	low, high   float64 // values at the ends
	from, to    float64 // positions of the ends
	logarithmic bool
}

func (a axis) at(value float64) float64 {
	low, high := a.low, a.high
	if a.logarithmic {
		value, low, high = math.Log(max(value, low)), math.Log(low), math.Log(high)
	}
	if high == low {
		return a.from
	}
	return a.from + (value-low)/(high-low)*(a.to-a.from)
}

// tick is a mark on an axis.
type tick struct {
	At   float64
	Text string
}

// ticks returns marks at round values: about five, or on a logarithmic axis the
// powers of ten and twice and five times these.
func (a axis) ticks() []tick {
	var values []float64
	if a.logarithmic {
		for decade := math.Pow(10, math.Floor(math.Log10(a.low))); decade <= a.high; decade *= 10 {
			for _, factor := range []float64{1, 2, 5} {
				if v := factor * decade; v >= a.low*(1-1e-9) && v <= a.high*(1+1e-9) {
					values = append(values, v)
				}
			}
		}
	} else if step := roundUp((a.high - a.low) / 5); step <= 0 {
		values = []float64{a.low}
	} else {
		for i := math.Ceil(a.low / step); i*step <= a.high*(1+1e-9); i++ {
			values = append(values, i*step)
		}
	}
	var ticks []tick
	for _, v := range values {
		text := fmt.Sprintf("%g", math.Round(v*1e6)/1e6)
		if v >= 10_000 {
			text = fmt.Sprintf("%gk", v/1000)
		}
		ticks = append(ticks, tick{a.at(v), text})
	}
	return ticks
}

// roundUp returns the smallest of 1, 2, 5, 10, 20, 50 and so on that is at least
// value, and 0 if value is not positive.
func roundUp(value float64) float64 {
	if value <= 0 {
		return 0
	}
	decade := math.Pow(10, math.Floor(math.Log10(value)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*decade >= value*(1-1e-9) {
			return factor * decade
		}
	}
	return 10 * decade
}

// roundDown returns the largest of 1, 2, 5, 10, 20, 50 and so on that is at most
// value.
func roundDown(value float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(value)))
	for _, factor := range []float64{5, 2} {
		if factor*decade <= value*(1+1e-9) {
			return factor * decade
		}
	}
	return decade
}

type legendEntry struct {
	Color, Dash, Text string
}

// style is how a chart shows a mode: the color stands for the mode and the dashes
// for its suffixes.
type style struct{ Color, Dash string }

// modeColors are from the palette of Okabe and Ito, which people with any color
// vision can distinguish.
var modeColors = map[string]string{
	"direct": "#7f7f7f", "protobuf": "#0072b2", "http": "#d55e00", "grpc": "#009e73", "kafka": "#cc79a7",
}

var processColors = []string{"#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#0072b2", "#d55e00"}

func processColor(i int) string { return processColors[i%len(processColors)] }

func styleOf(mode string) style {
	mode, _, isBase := strings.Cut(mode, "@")
	name, suffixes, _ := strings.Cut(mode, "+")
	s := style{Color: modeColors[name]}
	if s.Color == "" {
		s.Color = "#0072b2" // a target, which is the only mode of its report
	}
	if isBase {
		s.Color += "80" // half transparent
	}
	switch suffixes {
	case "unary":
		s.Dash = "7 4"
	case "h2":
		s.Dash = "2 3"
	case "h2+unary":
		s.Dash = "8 3 2 3"
	}
	return s
}
