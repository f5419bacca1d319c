package chaos

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/checker"
	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/modules/payments"
)

// The minimum of acknowledged webhooks and kills in the short run.
const (
	shortAcked = 5000
	shortKills = 10
)

// busy are limits for a machine that runs other tests at the same time. The long
// run is strict.
var busy = history.Limits{Answer: history.Strict.Answer + 6*time.Second, Ready: 4 * history.Strict.Ready, CaughtUp: 4 * history.Strict.CaughtUp}

// TestShortRun runs every mode on SQLite and the embedded broker for a few seconds.
func TestShortRun(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "app")
	if err := program.Build(binary); err != nil {
		t.Fatal(err)
	}
	var reports []*checker.Report
	acked, kills := 0, 0
	for _, mode := range history.Modes() {
		t.Run(string(mode), func(t *testing.T) {
			r := runCell(t, Options{Cell: embeddedCell(mode), Seed: 1, Binary: binary, Limits: busy,
				Duration: 8 * time.Second, Acked: shortAcked/4 + 1, Kills: shortKills/4 + 1})
			for _, v := range r.Violations {
				t.Errorf("%s: %s", v.Invariant, v.What)
			}
			acked, kills, reports = acked+r.Acked, kills+r.Faults[history.Kill], append(reports, r)
		})
	}
	for _, v := range checker.CheckParity(reports) {
		t.Errorf("%s: %s", v.Invariant, v.What)
	}
	if acked < shortAcked || kills < shortKills {
		t.Errorf("%d webhooks acknowledged and %d processes killed, want %d and %d", acked, kills, shortAcked, shortKills)
	}
}

// embeddedCell returns the cell of a mode that needs no server.
func embeddedCell(mode payments.Mode) history.Cell {
	cell := history.Cell{Mode: mode, Store: history.SQLite, Processes: 1}
	if mode == payments.Kafka {
		cell.Broker = history.Embedded
	}
	return cell
}

// runCell runs a cell, and keeps its directory if there are violations.
func runCell(t *testing.T, o Options) *checker.Report {
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
		t.Logf("the history, logs and final state are in %s", dir)
	} else if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
	return r
}
