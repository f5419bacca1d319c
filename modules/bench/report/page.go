package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"time"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is the data of page.html.
type page struct {
	*Report
	When     string
	Accepted int64
	Sections []section
	// Curves show latencies over all loads.
	Curves []*lineChart
	Limits *barChart
	// AnswersNote explains the answers.
	AnswersNote string
}

// section is the part of a page about one load.
type section struct {
	Load   string
	Rounds int
	Bars   []*barChart
	Lines  *lineChart
	Header []string
	Rows   [][]string
	// Answers have a cell for each of AnswersHeader.
	Answers       []answer
	AnswersHeader []string
}

// WritePage saves the report as an HTML file that needs no other files.
func (r *Report) WritePage(path string) error {
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, r.page()); err != nil {
		return fmt.Errorf("make the page: %w", err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func (r *Report) page() page {
	p := page{Report: r, When: r.Began.Format(time.RFC1123), Accepted: r.accepted(), AnswersNote: answersNote}
	for _, l := range r.Loads {
		if s := r.section(l.Name); s.Rounds > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
	for _, name := range []string{"ack p50", "ack p99", "applied p99"} {
		if c := latencyOverLoad(r, figure(name)); c != nil {
			p.Curves = append(p.Curves, c)
		}
	}
	// The highest rates are charted as if each were the accepted rate of a run.
	limits := &Report{Modes: r.Modes}
	for _, l := range r.Limits {
		limits.Runs = append(limits.Runs, Run{Mode: l.Mode, Load: "limit", AcceptedPerSecond: l.Rate})
	}
	p.Limits = barsOf(limits, "Highest rate that was kept up, webhooks per second", figure("accepted"), "limit")
	return p
}

func (r *Report) section(load string) section {
	s := section{Load: load, Header: []string{"mode"}, Lines: distribution(r, load), Answers: r.answers(load), AnswersHeader: inAnswers}
	for _, f := range Figures {
		s.Header = append(s.Header, f.Name+" "+f.Unit)
	}
	for mode, runs := range r.measured(load) {
		s.Rounds = max(s.Rounds, len(runs))
		row := []string{mode}
		for _, f := range Figures {
			row = append(row, f.Over(runs).text())
		}
		s.Rows = append(s.Rows, row)
	}
	for _, b := range []*barChart{
		barsOf(r, "Webhooks accepted per second", figure("accepted"), load),
		barsOf(r, "Webhooks applied per second", figure("applied"), load),
		barsOf(r, "99th percentile of the answer, ms", figure("ack p99"), load),
		cpuBars(r, load),
		barsOf(r, "Bytes on the wire between the roles, per webhook", figure("wire"), load),
		barsOf(r, "Allocations per webhook", figure("allocations"), load),
	} {
		if b != nil {
			s.Bars = append(s.Bars, b)
		}
	}
	return s
}
