package report

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// turns is a report of two modes on a machine that gets faster from round to
// round, of which now is so many times as fast as by in each.
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

// Rounds differ by a factor of three, and their ratios do not.
func TestAnswersAreRatiosOfRounds(t *testing.T) {
	for _, c := range []struct {
		factors []float64
		want    string
	}{
		{[]float64{1.1, 1.3, 1.2}, "1.20"},
		{[]float64{0.6, 0.5, 0.4}, "0.50"},
		{[]float64{0.9, 1.2, 1.1}, "≈1.10"},
		{[]float64{1.5}, "≈1.50"}, // what is noise cannot be told from one
	} {
		got := turns("protobuf", "http", c.factors...).answers("64 connections")
		if len(got) != 1 || got[0].Question != "What does Protobuf save over JSON?" || len(got[0].Rows) != 1 {
			t.Fatalf("%v: the answers are %+v", c.factors, got)
		}
		row := got[0].Rows[0]
		if row.String() != "protobuf / http" || row.Cells[0] != c.want {
			t.Errorf("%v: %s is %s, want %s", c.factors, row, row.Cells[0], c.want)
		}
		if wire := row.Cells[slices.Index(inAnswers, "wire")]; wire != "-" {
			t.Errorf("the wire was not measured, and is %s", wire)
		}
	}
}

func TestAnswersNeedBothModesUnderOneLoad(t *testing.T) {
	r := turns("protobuf", "grpc", 1, 2)
	if got := r.answers("64 connections"); len(got) != 0 {
		t.Errorf("gRPC and Protobuf over HTTP/1.1 differ in two things, yet: %+v", got)
	}
	r = turns("protobuf", "http", 1, 2)
	if got := r.answers("256 connections"); len(got) != 0 {
		t.Errorf("nothing was measured, yet: %+v", got)
	}
	if text := printed(t, turns("hot", "cold", 1, 2)); strings.Contains(text, answersNote) {
		t.Errorf("there is nothing to answer:\n%s", text)
	}
	if text := turns("hot", "cold", 1, 2).markdown(); strings.Contains(text, answersNote) {
		t.Errorf("there is nothing to answer:\n%s", text)
	}
}

func TestAnswersAreShown(t *testing.T) {
	r := turns("protobuf+unary", "http+unary", 1.5, 1.6, 1.7)
	text := strings.Join(strings.Fields(printed(t, r)), " ")
	for _, want := range []string{"64 connections. " + answersNote, "What does Protobuf save over JSON?", "protobuf+unary / http+unary 1.60"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	page := writtenPage(t, r)
	for _, want := range []string{answersNote, "What does Protobuf save over JSON?", "protobuf&#43;unary / http&#43;unary", "<td>1.60</td>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// A pair of a mode that there is not would never be answered, and nobody would
// notice.
func TestQuestionsAreAboutModes(t *testing.T) {
	mode := regexp.MustCompile(`^(direct|kafka|grpc(\+unary)?|(protobuf|http)(\+h2)?(\+unary)?)$`)
	seen := make(map[pair]bool)
	for _, q := range questions {
		for _, p := range q.pairs {
			if !mode.MatchString(p.mode) || !mode.MatchString(p.by) {
				t.Errorf("%s: %s is not about two modes", q.text, p)
			}
			if p.mode == p.by || seen[p] {
				t.Errorf("%s: %s is asked twice, or of itself", q.text, p)
			}
			seen[p] = true
		}
	}
}
