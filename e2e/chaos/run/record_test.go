package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos"
)

func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "document.md")
	const before = "head\n<!-- record -->\noutdated\n<!-- end of record -->\nmiddle\n<!-- faults -->\n<!-- end of faults -->\nfoot\n"
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	report := &chaos.Report{Cell: chaos.Cell{Mode: chaos.GRPC, Store: chaos.SQLite, Processes: 1}, Acked: 4711,
		Answers: map[string]map[string]int{"kill api": {"503": 3, "2xx": 1}}}
	for range 2 { // the second time over the first
		if err := record(path, options{duration: time.Minute, seed: 7}, []*chaos.Report{report}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"head\n<!-- record -->\nBy `go run", "-duration 1m0s -seed 7", "| grpc/sqlite/1 | 4711 |", "middle\n", "| kill api | – | – | – | 75 % 503, 25 % 2xx |", "foot\n"} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("the document does not have once %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "outdated") {
		t.Errorf("the document still has the old table:\n%s", text)
	}
	if err := os.WriteFile(path, []byte("no place"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := record(path, options{}, nil); err == nil {
		t.Error("a document without a place for the tables is no error")
	}
}

func TestChosen(t *testing.T) {
	if all, some, none := len(chosen("")), len(chosen("kafka/")), len(chosen("carrier pigeon")); all != 18 || some != 6 || none != 0 {
		t.Errorf("chosen are %d, %d and %d cells", all, some, none)
	}
}
