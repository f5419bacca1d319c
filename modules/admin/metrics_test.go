package admin_test

import (
	"strconv"
	"testing"
)

func TestGauges(t *testing.T) {
	s := serve(t)
	s.AddGauge("one", "A value.", func() float64 { return 7 })
	values := []float64{3, 0}
	s.AddGauges("several", "Values.", []string{"topic", "partition"}, func(show func(float64, ...string)) {
		for i, value := range values {
			show(value, "orders", strconv.Itoa(i))
		}
	})
	expectSamples(t, s, map[string]string{"one": "7", `several{partition="0",topic="orders"}`: "3", `several{partition="1",topic="orders"}`: "0"})
	values = nil // a value that is no longer shown disappears
	expectSamples(t, s, map[string]string{"one": "7", `several{partition="0",topic="orders"}`: "", `several{partition="1",topic="orders"}`: ""})
}
