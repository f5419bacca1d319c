package report

import (
	"fmt"
	"os"
	"strings"
)

// inMarkdown are the figures of a Markdown table.
var inMarkdown = []string{"accepted", "applied", "ack p50", "ack p99", "applied p50", "applied p99", "CPU", "wire"}

// WriteMarkdown saves the report as Markdown: a table for each load, the ratios that
// answer the questions, and how the figures were measured.
func (r *Report) WriteMarkdown(path string) error {
	if err := os.WriteFile(path, []byte(r.markdown()), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func (r *Report) markdown() string {
	var b, answers strings.Builder
	for _, load := range r.Loads {
		r.markdownTable(load.Name, &b)
		r.markdownAnswers(load.Name, &answers)
	}
	if answers.Len() > 0 {
		fmt.Fprintf(&b, "%s\n\n%s", answersNote, answers.String())
	}
	fmt.Fprintf(&b, "payrelay %s on %s, %s; %s, %s. Made by `%s`.\n", r.Version, r.Began.Format("2006-01-02"), r.Machine, r.Workload, r.Servers(), r.Command)
	return b.String()
}

func (r *Report) markdownTable(load string, b *strings.Builder) {
	var rows strings.Builder
	rounds := 0
	for mode, runs := range r.measured(load) {
		rounds = max(rounds, len(runs))
		fmt.Fprintf(&rows, "| `%s` |", mode)
		for _, name := range inMarkdown {
			fmt.Fprintf(&rows, " %s |", figure(name).Over(runs).text())
		}
		rows.WriteByte('\n')
	}
	if rounds == 0 {
		return
	}
	fmt.Fprintf(b, "| %s, median of %d |", load, rounds)
	for _, name := range inMarkdown {
		unit := figure(name).Unit
		if !strings.HasPrefix(unit, "/") {
			unit = " " + unit
		}
		fmt.Fprintf(b, " %s%s |", name, unit)
	}
	fmt.Fprintf(b, "\n|---|%s\n%s\n", strings.Repeat("--:|", len(inMarkdown)), &rows)
}

// markdownAnswers writes a table in which each question is a row above its ratios.
func (r *Report) markdownAnswers(load string, b *strings.Builder) {
	answers := r.answers(load)
	if len(answers) == 0 {
		return
	}
	fmt.Fprintf(b, "| %s | %s |\n|---|%s\n", load, strings.Join(inAnswers, " | "), strings.Repeat("--:|", len(inAnswers)))
	for _, a := range answers {
		fmt.Fprintf(b, "| **%s** |%s\n", a.Question, strings.Repeat(" |", len(inAnswers)))
		for _, row := range a.Rows {
			fmt.Fprintf(b, "| `%s` / `%s` | %s |\n", row.mode, row.by, strings.Join(row.Cells, " | "))
		}
	}
	b.WriteByte('\n')
}
