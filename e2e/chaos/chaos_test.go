package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
)

// The short run has at least so many acknowledged webhooks and kills.
const (
	shortAcked = 5000
	shortKills = 10
)

// busy is what the short run is held to, for it shares the machine with other
// tests. The long run is strict.
var busy = Limits{Answer: Strict.Answer + 6*time.Second, Ready: 4 * Strict.Ready}

// TestShortRun runs every mode on SQLite and the embedded broker for a few
// seconds.
func TestShortRun(t *testing.T) {
	binary := build(t)
	var reports []*Report
	acked, kills := 0, 0
	for _, mode := range Modes {
		t.Run(mode, func(t *testing.T) {
			r := runCell(t, Options{Cell: embeddedCell(mode), Seed: 1, Binary: binary, Limits: busy,
				Duration: 8 * time.Second, Acked: shortAcked/4 + 1, Kills: shortKills/4 + 1})
			for _, v := range r.Violations {
				t.Errorf("%s: %s", v.Invariant, v.What)
			}
			acked, kills, reports = acked+r.Acked, kills+r.Faults[kill], append(reports, r)
		})
	}
	for _, v := range CheckParity(reports) {
		t.Errorf("%s: %s", v.Invariant, v.What)
	}
	if acked < shortAcked || kills < shortKills {
		t.Errorf("%d webhooks were acknowledged and %d processes killed, want %d and %d", acked, kills, shortAcked, shortKills)
	}
}

// embeddedCell is the cell of a mode that needs no server.
func embeddedCell(mode string) Cell {
	cell := Cell{Mode: mode, Store: SQLite, Processes: 1}
	if mode == Kafka {
		cell.Broker = Embedded
	}
	return cell
}

// runCell runs a cell, and keeps what it leaves if it was not as it should be.
func runCell(t *testing.T, o Options) *Report {
	t.Helper()
	dir, err := os.MkdirTemp("", "payrelay-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	o.Dir = dir
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v; see %s", err, dir)
	}
	t.Log(r)
	if len(r.Violations) > 0 {
		t.Logf("its ledger, logs and final state are in %s", dir)
	} else if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
	return r
}

// build builds the program under test.
func build(t *testing.T, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app")
	if err := program.Build(path, flags...); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMatrix: every combination is there once.
func TestMatrix(t *testing.T) {
	seen := make(map[string]bool)
	for _, cell := range Matrix() {
		if name := cell.String(); seen[name] || (cell.Broker != "") != strings.HasPrefix(name, Kafka) {
			t.Errorf("cell %s", name)
		} else {
			seen[name] = true
		}
	}
	if len(seen) != 18 {
		t.Errorf("there are %d cells: %v", len(seen), seen)
	}
}
