package report

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

// turns returns a report of two modes on a machine that gets faster from round to
// round. factors are the rates of now over those of by in each round.
func turns(now, by string, factors ...float64) *Report {
	r := &Report{Modes: []Mode{{Name: by}, {Name: now}}, Loads: []Load{{Name: "64 connections"}}}
	for i, factor := range factors {
		slow := Run{Mode: by, Load: "64 connections", Round: i + 1, AcceptedPerSecond: 1000 * float64(i+1), CPU: map[string]float64{"all": 0.2}}
		fast := slow
		fast.Mode, fast.AcceptedPerSecond = now, factor*slow.AcceptedPerSecond
		r.Runs = append(r.Runs, slow, fast)
	}
	return r
}

// The rates of the rounds differ by a factor of three and their ratios hardly do.
func TestAnswersAreRatiosOfRounds(t *testing.T) {
	for _, c := range []struct {
		factors []float64
		want    string
	}{
		{[]float64{1.1, 1.3, 1.2}, "1.20"},
		{[]float64{0.6, 0.5, 0.4}, "0.50"},
		{[]float64{0.9, 1.2, 1.1}, "≈1.10"},
		{[]float64{1.5}, "≈1.50"}, // one round does not show the noise
	} {
		got := turns("protobuf", "http", c.factors...).answers("64 connections")
		if len(got) != 1 || got[0].Question != "What does Protobuf save over JSON?" || len(got[0].Rows) != 1 {
			t.Fatalf("%v: answers() = %+v, want one with one row", c.factors, got)
		}
		row := got[0].Rows[0]
		if row.String() != "protobuf / http" || row.Cells[0] != c.want {
			t.Errorf("%v: accepted of %s = %s, want %s", c.factors, row, row.Cells[0], c.want)
		}
		if wire := row.Cells[slices.Index(inAnswers, "wire")]; wire != "-" {
			t.Errorf("wire = %s, want - because it was not measured", wire)
		}
	}
}

func TestAnswersNeedBothModesUnderOneLoad(t *testing.T) {
	r := turns("protobuf", "grpc", 1, 2)
	if got := r.answers("64 connections"); len(got) != 0 {
		t.Errorf("answers() with grpc and protobuf, which differ in two things = %+v, want none", got)
	}
	r = turns("protobuf", "http", 1, 2)
	if got := r.answers("256 connections"); len(got) != 0 {
		t.Errorf("answers() under a load without runs = %+v, want none", got)
	}
	if text := printed(t, turns("hot", "cold", 1, 2)); strings.Contains(text, answersNote) {
		t.Errorf("the report explains ratios and has none:\n%s", text)
	}
	if text := turns("hot", "cold", 1, 2).markdown(); strings.Contains(text, answersNote) {
		t.Errorf("the report explains ratios and has none:\n%s", text)
	}
}

func TestAnswersAreShown(t *testing.T) {
	r := turns("protobuf+unary", "http+unary", 1.5, 1.6, 1.7)
	text := strings.Join(strings.Fields(printed(t, r)), " ")
	for _, want := range []string{"64 connections. " + answersNote, "What does Protobuf save over JSON?", "protobuf+unary / http+unary 1.60"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	page := writtenPage(t, r)
	for _, want := range []string{answersNote, "What does Protobuf save over JSON?", "protobuf&#43;unary / http&#43;unary", "<td>1.60</td>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// A pair with a misspelled mode would never be answered, and a mode without a pair
// or a color would be compared with nothing.
func TestEveryModeHasQuestionsAndAColor(t *testing.T) {
	mode := regexp.MustCompile(`^(direct|kafka|grpc(\+unary)?|(protobuf|http)(\+h2)?(\+unary)?)$`)
	seen, asked := make(map[pair]bool), make(map[string]bool)
	for _, q := range questions {
		for _, p := range q.pairs {
			if !mode.MatchString(p.mode) || !mode.MatchString(p.by) {
				t.Errorf("%s: %s is not a pair of modes", q.text, p)
			}
			if p.mode == p.by || seen[p] {
				t.Errorf("%s: %s is asked twice, or compares a mode with itself", q.text, p)
			}
			seen[p], asked[p.mode], asked[p.by] = true, true, true
		}
	}
	for _, m := range payments.Modes {
		name := string(m)
		if !asked[name] || modeColors[name] == "" {
			t.Errorf("mode %s: in a question %v, color %q, want both", m, asked[name], modeColors[name])
		}
		if m != payments.Direct && !seen[pair{name, "direct"}] {
			t.Errorf("mode %s is not in the question what a wire costs", m)
		}
	}
}
