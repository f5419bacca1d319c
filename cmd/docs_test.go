package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/cmd/flags"
)

var (
	documentedFlag     = regexp.MustCompile("`(--[a-z][a-z-]*[a-z])")
	documentedVariable = regexp.MustCompile("`([A-Z]+_[A-Z_]+)`")
	documentedMetric   = regexp.MustCompile("`(payrelay_[a-z_]+)`")
)

// The flags and variables that pages name exist.
func TestDocumentedFlagsExist(t *testing.T) {
	reference, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"../docs/providers.md", "../docs/security.md", "../docs/webhooks.md", "../docs/cli.md", "../README.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range documentedFlag.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(string(reference), "`"+flag[1]+"`") {
				t.Errorf("%s names %s, which docs/configuration.md does not have", page, flag[1])
			}
		}
	}
}

// The variables and metrics that docs/security.md names exist.
func TestDocumentedMetricsExist(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	reference, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range documentedVariable.FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(string(reference), "`"+variable[1]+"`") {
			t.Errorf("docs/security.md names %s, which docs/configuration.md does not have", variable[1])
		}
	}
	metrics, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range documentedMetric.FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(string(metrics), "`"+metric[1]+"`") {
			t.Errorf("docs/security.md names the metric %s, which docs/metrics.md does not have", metric[1])
		}
	}
}

// exampleLines returns the lines of a page that run a command of this program, without
// comments, redirections and what is piped into others.
func exampleLines(t *testing.T, page string) (lines [][]string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		rest, found := strings.CutPrefix(line, "    app ")
		if !found {
			continue
		}
		if words := shellWords(rest); !slices.Contains(words, "...") && !slices.Contains(words, "…") {
			lines = append(lines, words)
		}
	}
	return lines
}

// shellWords splits a line as a shell does, up to a comment, a redirection, a pipe or the end
// of a line that is continued.
func shellWords(line string) (words []string) {
	var word strings.Builder
	quote, open := rune(0), false
	for _, r := range line + " " {
		switch {
		case r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, open = r, true
		case r == '#' && !open, r == '\\', r == '>', r == '|', r == '&', r == ';':
			return words
		case r == ' ' || r == '\n':
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
			open = true
		}
	}
	return words
}

// TestExamplesParse checks that the commands that pages show exist, with their flags.
func TestExamplesParse(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	parsed := 0
	for _, page := range append(pages, "../README.md") {
		for _, words := range exampleLines(t, page) {
			root := newRoot()
			command, rest, err := root.Find(words)
			if err == nil && command != root {
				err = command.ParseFlags(rest)
			}
			if err == nil && command != root {
				err = command.ValidateArgs(command.Flags().Args())
			}
			if err != nil || command == root {
				t.Errorf("%s: app %q = %v, want a command that exists", page, words, err)
			}
			parsed++
		}
	}
	if parsed < 20 {
		t.Errorf("the pages have %d examples, want at least 20", parsed)
	}
}

// TestExamplesOfOperatorsRun runs the examples of docs/cli.md that need no server.
func TestExamplesOfOperatorsRun(t *testing.T) {
	dir := contradictions(t, 3)
	ran := 0
	for _, words := range exampleLines(t, "../docs/cli.md") {
		if words[0] == "completion" || words[0] == "doctor" || slices.Contains(words, "--admin-url") {
			continue
		}
		out, err := execute(t, append(slices.DeleteFunc(words, func(word string) bool { return word == "--data-dir" || word == "./data" }), "--data-dir", dir)...)
		if code := flags.ExitCode(err); code != 0 && code != flags.ExitDifferences || out == "" {
			t.Errorf("app %q = %q, %v, want that it works", words, out, err)
		}
		ran++
	}
	if ran < 15 {
		t.Errorf("docs/cli.md has %d examples, want at least 15", ran)
	}
}
