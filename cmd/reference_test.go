package cmd

import (
	"os"
	"strings"
	"testing"
)

func TestReferenceIsCommitted(t *testing.T) {
	var made strings.Builder
	if err := writeReference(&made, newRoot()); err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if made.String() != string(committed) {
		t.Error("docs/configuration.md is not what the flags say: run task generate")
	}
}

func TestReferenceNamesFlagVariableAndDefault(t *testing.T) {
	var made strings.Builder
	if err := writeReference(&made, newRoot()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"## app serve all\n",
		"| `--mode` | `WEBHOOK_MODE` | `kafka` |",
		"| `--api-url` | `API_BASE_URL` | `http://127.0.0.1:3002` |",
		"## app deadletters replay ID\n",
	} {
		if !strings.Contains(made.String(), want) {
			t.Errorf("the reference lacks %q", want)
		}
	}
}
