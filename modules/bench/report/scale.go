package report

import (
	"fmt"
	"math"
)

// scale turns values into places on an axis.
type scale struct {
	low, high  float64 // values at the ends
	from, to   float64 // places of the ends
	logarithms bool
}

func (s scale) at(value float64) float64 {
	low, high := s.low, s.high
	if s.logarithms {
		value, low, high = math.Log(max(value, low)), math.Log(low), math.Log(high)
	}
	if high == low {
		return s.from
	}
	return s.from + (value-low)/(high-low)*(s.to-s.from)
}

// tick is a mark on an axis.
type tick struct {
	At   float64
	Text string
}

// ticks are at round values, a few of them.
func (s scale) ticks() []tick {
	values := s.steps()
	if s.logarithms {
		values = s.decades()
	}
	var ticks []tick
	for _, v := range values {
		ticks = append(ticks, tick{s.at(v), tickText(v)})
	}
	return ticks
}

// steps are about five.
func (s scale) steps() (values []float64) {
	step := roundUp((s.high - s.low) / 5)
	if step <= 0 {
		return []float64{s.low}
	}
	for i := math.Ceil(s.low / step); i*step <= s.high*(1+1e-9); i++ {
		values = append(values, i*step)
	}
	return values
}

// decades are the powers of ten, and twice and five times each.
func (s scale) decades() (values []float64) {
	for decade := math.Pow(10, math.Floor(math.Log10(s.low))); decade <= s.high; decade *= 10 {
		for _, factor := range []float64{1, 2, 5} {
			if v := factor * decade; v >= s.low*(1-1e-9) && v <= s.high*(1+1e-9) {
				values = append(values, v)
			}
		}
	}
	return values
}

// roundUp is the next of 1, 2, 5, 10, 20, 50 and so on.
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

// roundDown is the one before.
func roundDown(value float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(value)))
	for _, factor := range []float64{5, 2} {
		if factor*decade <= value*(1+1e-9) {
			return factor * decade
		}
	}
	return decade
}

func tickText(v float64) string {
	if v >= 10_000 {
		return fmt.Sprintf("%gk", v/1000)
	}
	return fmt.Sprintf("%g", math.Round(v*1e6)/1e6)
}
