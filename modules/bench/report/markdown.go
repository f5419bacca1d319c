package report

import (
	"fmt"
	"os"
	"strings"
)

// inMarkdown are the figures that a table for a README has.
var inMarkdown = []string{"accepted", "applied", "ack p50", "ack p99", "applied p50", "applied p99", "CPU", "wire"}

// WriteMarkdown saves a table for each load, and how they came to be, for a README.
func (r *Report) WriteMarkdown(path string) error {
	if err := os.WriteFile(path, []byte(r.markdown()), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func (r *Report) markdown() string {
	var b strings.Builder
	for _, load := range r.Loads {
		r.markdownOf(load, &b)
	}
	var answers strings.Builder
	for _, load := range r.Loads {
		r.markdownAnswers(load, &answers)
	}
	if answers.Len() > 0 {
		fmt.Fprintf(&b, "%s\n\n%s", answersNote, answers.String())
	}
	fmt.Fprintf(&b, "payrelay %s on %s, %s; %s, %s. Made by `%s`.\n", r.Version, r.Began.Format("2006-01-02"), r.Machine, r.Workload, r.Servers(), r.Command)
	return b.String()
}

func (r *Report) markdownOf(load Load, b *strings.Builder) {
	var rows []string
	rounds := 0
	for _, mode := range r.Modes {
		if runs := r.Select(mode.Name, load.Name); len(runs) > 0 {
			rounds = max(rounds, len(runs))
			rows = append(rows, markdownRow(mode.Name, runs))
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "| %s, median of %d |", load.Name, rounds)
	for _, name := range inMarkdown {
		fmt.Fprintf(b, " %s |", heading(figure(name)))
	}
	fmt.Fprintf(b, "\n|---|%s\n%s\n\n", strings.Repeat("--:|", len(inMarkdown)), strings.Join(rows, "\n"))
}

// markdownAnswers has the questions as rows of their own.
func (r *Report) markdownAnswers(load Load, b *strings.Builder) {
	answers := r.answers(load.Name)
	if len(answers) == 0 {
		return
	}
	fmt.Fprintf(b, "| %s | %s |\n|---|%s\n", load.Name, strings.Join(inAnswers, " | "), strings.Repeat("--:|", len(inAnswers)))
	for _, a := range answers {
		fmt.Fprintf(b, "| **%s** |%s\n", a.Question, strings.Repeat(" |", len(inAnswers)))
		for _, row := range a.Rows {
			fmt.Fprintf(b, "| `%s` / `%s` | %s |\n", row.mode, row.by, strings.Join(row.Cells, " | "))
		}
	}
	b.WriteByte('\n')
}

// heading is a figure's name with its unit.
func heading(f Figure) string {
	if strings.HasPrefix(f.Unit, "/") {
		return f.Name + f.Unit
	}
	return f.Name + " " + f.Unit
}

func markdownRow(mode string, runs []Run) string {
	row := "| `" + mode + "` |"
	for _, name := range inMarkdown {
		row += " " + figure(name).Over(runs).text() + " |"
	}
	return row
}
