package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/checker"
	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/modules/payments"
)

func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "document.md")
	const before = "head\n<!-- record -->\noutdated\n<!-- end of record -->\nmiddle\n<!-- faults -->\n<!-- end of faults -->\nfoot\n"
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	report := &checker.Report{Cell: history.Cell{Mode: payments.GRPC, Store: history.SQLite, Processes: 1}, Acked: 4711,
		Answers: map[string]map[string]int{"kill api": {"503": 3, "2xx": 1}}}
	for range 2 { // the second replaces the first
		if err := record(path, options{duration: time.Minute, seed: 7}, []*checker.Report{report}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"head\n<!-- record -->\nBy `go run", "-duration 1m0s -seed 7", "| grpc/sqlite/1 | 4711 |", "middle\n", "| kill api | – | – | – | 75 % 503, 25 % 2xx |", "foot\n"} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("the document does not have %q exactly once:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "outdated") {
		t.Errorf("the document still has the old table:\n%s", text)
	}
	if err := os.WriteFile(path, []byte("no place"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := record(path, options{}, nil); err == nil {
		t.Error("record(a document without the comments) = nil, want an error")
	}
}

func TestChosen(t *testing.T) {
	if all, some, none := len(chosen("")), len(chosen("kafka/")), len(chosen("carrier pigeon")); all != 18 || some != 6 || none != 0 {
		t.Errorf("chosen() has %d, %d and %d cells, want 18, 6 and 0", all, some, none)
	}
}
