package alerts

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

const (
	rulesFile = "../../deploy/prometheus/payrelay.rules.yaml"
	testFiles = "../../deploy/prometheus/tests/*.test.yaml"
	guide     = "../../docs/operations.md"
	// runbooks is the address of the guide.
	runbooks = "https://github.com/payrelay/payrelay/blob/main/docs/operations.md#"
)

// promQL parses expressions as Prometheus does by default.
var promQL = parser.NewParser(parser.Options{})

// readRules reads the rules as Prometheus does.
func readRules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(rulesFile, false, model.LegacyValidation, promQL, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	var all []rulefmt.Rule
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// readAlerts returns the alerting rules. An alert with two severities is there twice.
func readAlerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	alerts := slices.DeleteFunc(readRules(t), func(r rulefmt.Rule) bool { return r.Alert == "" })
	if len(alerts) < 20 {
		t.Fatalf("%s has %d alerts, want at least 20", rulesFile, len(alerts))
	}
	return alerts
}

// alertNames returns the name of each alert once.
func alertNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, r := range readAlerts(t) {
		if !slices.Contains(names, r.Alert) {
			names = append(names, r.Alert)
		}
	}
	return names
}

func TestAlertsAreComplete(t *testing.T) {
	severities := make(map[string]bool)
	for _, r := range readAlerts(t) {
		if key := r.Alert + " " + r.Labels["severity"]; severities[key] {
			t.Errorf("%s has the severity %s twice", r.Alert, r.Labels["severity"])
		} else {
			severities[key] = true
		}
		if severity := r.Labels["severity"]; severity != "page" && severity != "ticket" {
			t.Errorf("%s has the severity %q, want page or ticket", r.Alert, severity)
		}
		for _, name := range []string{"summary", "description"} {
			if text := r.Annotations[name]; !strings.HasSuffix(text, ".") {
				t.Errorf("%s has the %s %q, want a sentence", r.Alert, name, text)
			}
		}
		if got, want := r.Annotations["runbook_url"], runbooks+strings.ToLower(r.Alert); got != want {
			t.Errorf("%s has the runbook_url %s, want %s", r.Alert, got, want)
		}
	}
}

// unreachable are the alerts about what does not happen on loopback, where tests listen.
var unreachable = []string{"PayrelayInsecure"}

// TestEveryAlertHasAFault: a test of this package causes the fault of each alert, with each
// severity that it has.
func TestEveryAlertHasAFault(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tests := ""
	for _, file := range files {
		tests += readFile(t, file)
	}
	tests = strings.ReplaceAll(tests, `"PayrelayDeadLetters", "reason"`, `"PayrelayDeadLetters (ticket)"`)
	for _, r := range readAlerts(t) {
		fires := strings.Contains(tests, `"`+r.Alert+" ("+r.Labels["severity"]+`)"`)
		if unreachable := slices.Contains(unreachable, r.Alert); fires == unreachable {
			t.Errorf("%s (%s) fires in a test = %t, want %t", r.Alert, r.Labels["severity"], fires, !unreachable)
		}
	}
}

// heading is the heading of a runbook section.
var heading = regexp.MustCompile(`(?m)^### (Payrelay\w+)$`)

func TestEveryAlertHasARunbook(t *testing.T) {
	text := readFile(t, guide)
	var sections []string
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		sections = append(sections, match[1])
	}
	names := alertNames(t)
	for _, name := range names {
		if !slices.Contains(sections, name) {
			t.Errorf("%s has no section %s", guide, name)
		}
	}
	for _, section := range sections {
		if !slices.Contains(names, section) {
			t.Errorf("%s has the section %s, which is no alert", guide, section)
		}
	}
	if slices.Sort(sections); len(slices.Compact(sections)) != len(sections) {
		t.Errorf("%s has a section twice: %q", guide, sections)
	}
	if words := len(strings.Fields(text)); words > 2600 {
		t.Errorf("%s has %d words, want at most 2600", guide, words)
	}
}

// unitTests is what is read of a file of unit tests, which promtool runs.
type unitTests struct {
	Tests []struct {
		Name        string
		Expressions []struct {
			Samples []struct{ Labels string } `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	}
}

// TestEveryAlertHasUnitTests: for each alert there is a group of unit tests in which it
// fires, and one in which no alert does.
func TestEveryAlertHasUnitTests(t *testing.T) {
	files, err := filepath.Glob(testFiles)
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob(%s) = %q, %v, want files", testFiles, files, err)
	}
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, file := range files {
		var tests unitTests
		if err := yaml.Unmarshal([]byte(readFile(t, file)), &tests); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, group := range tests.Tests {
			words := strings.Fields(group.Name)
			if len(words) < 2 {
				t.Errorf("%s has a group with the name %q, want NAME fires: … or NAME is silent: …", file, group.Name)
				continue
			}
			expected := false
			for _, expression := range group.Expressions {
				for _, sample := range expression.Samples {
					expected = expected || strings.Contains(sample.Labels, `alertname="`+words[0]+`"`)
				}
			}
			switch {
			case words[1] == "fires:" && expected:
				fires[words[0]] = true
			case words[1] == "is" && !expected:
				silent[words[0]] = true
			default:
				t.Errorf("%s: the group %q expects the alert = %t", file, group.Name, expected)
			}
		}
	}
	for _, name := range alertNames(t) {
		if !fires[name] || !silent[name] {
			t.Errorf("the unit tests of %s have a case that fires = %t, one that is silent = %t, want both", name, fires[name], silent[name])
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
