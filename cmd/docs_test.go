package cmd

import (
	"os"
	"regexp"
	"strings"
	"testing"
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
	for _, page := range []string{"../docs/providers.md", "../docs/security.md", "../docs/webhooks.md", "../README.md"} {
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
