package report

import (
	"strings"
	"testing"
)

// The rates differ from round to round and their ratios hardly do.
func TestBaseIsComparedRoundByRound(t *testing.T) {
	for _, c := range []struct {
		factors []float64
		want    string
	}{
		{[]float64{1.1, 1.2, 1.3}, "accepted /s 2000 2400 1.200 1.100 1.300 better"},
		{[]float64{0.9, 0.8, 0.7}, "accepted /s 2000 1600 0.800 0.700 0.900 worse"},
		{[]float64{0.9, 1.2, 1.1}, "accepted /s 2000 2400 1.100 0.900 1.200 within the noise"},
		{[]float64{1.5}, "1.500 1.500 1.500 one round does not show the noise"},
	} {
		text := strings.Join(strings.Fields(printed(t, turns("direct", BaseOf("direct"), c.factors...))), " ")
		if !strings.Contains(text, c.want) {
			t.Errorf("rates multiplied by %v: %s, want %q", c.factors, text, c.want)
		}
	}
	if text := printed(t, turns("direct", BaseOf("direct"), 1, 1, 1)); !strings.Contains(text, "1 figure of 4 different") {
		t.Errorf("the comparison lacks the odds: %s", text)
	}
	if text := printed(t, sample(1)); strings.Contains(text, "against the base") {
		t.Errorf("the text compares with a base that was not measured: %s", text)
	}
}
