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

// page is what page.html shows.
type page struct {
	*Report
	When     string
	Accepted int64
	Sections []section
	// Curves are over all loads.
	Curves []*lines
	Limits *bars
	// AnswersNote says how to read the answers.
	AnswersNote string
}

// section is one load.
type section struct {
	Load   string
	Rounds int
	Bars   []*bars
	Lines  *lines
	Header []string
	Rows   [][]string
	// Answers have a cell for each of AnswersHeader.
	Answers       []answer
	AnswersHeader []string
}

// WritePage saves the report as one file that a browser shows without a network.
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
	p := page{Report: r, When: r.Began.Format(time.RFC1123), AnswersNote: answersNote}
	for _, run := range r.Runs {
		p.Accepted += run.Accepted
	}
	for _, l := range r.Loads {
		if s := r.section(l.Name); s.Rounds > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
	for _, name := range []string{"ack p50", "ack p99", "applied p99"} {
		if c := r.curves("How "+name+" grows with the load", figure(name)); c != nil {
			p.Curves = append(p.Curves, c)
		}
	}
	p.Limits = r.limitBars()
	return p
}

func (r *Report) section(load string) section {
	s := section{Load: load, Header: []string{"mode"}, Lines: r.distribution(load), Answers: r.answers(load), AnswersHeader: inAnswers}
	for _, f := range Figures {
		s.Header = append(s.Header, f.Name+" "+f.Unit)
	}
	for _, mode := range r.Modes {
		runs := r.Select(mode.Name, load)
		if len(runs) == 0 {
			continue
		}
		s.Rounds = max(s.Rounds, len(runs))
		row := []string{mode.Name}
		for _, f := range Figures {
			row = append(row, f.Over(runs).text())
		}
		s.Rows = append(s.Rows, row)
	}
	for _, b := range []*bars{
		r.measuredBars("Webhooks accepted per second", figure("accepted"), load),
		r.measuredBars("Webhooks applied per second", figure("applied"), load),
		r.measuredBars("99th percentile of the answer, ms", figure("ack p99"), load),
		r.cpuBars(load),
		r.measuredBars("Bytes on the wire between the roles, per webhook", figure("wire"), load),
		r.measuredBars("Allocations per webhook", figure("allocations"), load),
	} {
		if b != nil {
			s.Bars = append(s.Bars, b)
		}
	}
	return s
}

// limitBars shows the highest rates, as if each were a figure of a run.
func (r *Report) limitBars() *bars {
	const load = "limit"
	limits := &Report{Modes: r.Modes}
	for _, l := range r.Limits {
		limits.Runs = append(limits.Runs, Run{Mode: l.Mode, Load: load, AcceptedPerSecond: l.Rate})
	}
	return limits.measuredBars("Highest rate that was kept up, webhooks per second", figure("accepted"), load)
}
