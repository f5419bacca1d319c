package chaos

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestReplay: the files of a run give the same report as the run itself, whether
// there is something wrong with it or not.
func TestReplay(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		w, dir := newWorld(50), t.TempDir()
		w.Baseline = []Vitals{{"api-1", 50, 4 << 20}}
		w.Faults = []Fault{{Kind: kill, Target: "api-1", From: 1, Healed: 20_000, Over: 20_000, Ready: 30_000, Looked: 40_000, Vitals: []Vitals{{"api-1", 57, 5 << 20}}}}
		ledger, err := OpenLedger(filepath.Join(dir, ledgerFile))
		if err != nil {
			t.Fatal(err)
		}
		w.tell(ledger)
		if err := ledger.Close(w.History); err != nil {
			t.Fatal(err)
		}
		if wrong {
			w.forget(w.find(good).Event)
		}
		if err := Save(dir, w.History, &w.State); err != nil {
			t.Fatal(err)
		}
		want := NewReport(w.History, &w.State)
		got, err := Replay(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if got.Back != 10*time.Millisecond || got.MoreGoroutines != 7 || got.MoreHeap != 1<<20 {
			t.Errorf("a process needed %d goroutines and %d bytes more after %s, want 7 and 1 MiB after 10ms", got.MoreGoroutines, got.MoreHeap, got.Back)
		}
		if (len(got.Violations) > 0) != wrong {
			t.Errorf("wrong: %t, and the violations are %v", wrong, got.Violations)
		}
	}
}

// tell writes what was sent and answered into a ledger.
func (w *world) tell(ledger *Ledger) {
	for i, a := range w.Attempts {
		sent := ledger.Sends(w.Webhooks[i], a.To)
		sent.From, sent.Done, sent.Status, sent.Failure = a.From, a.Done, a.Status, a.Failure
		ledger.Done(sent)
	}
	for _, stray := range w.Strays {
		ledger.Strays(stray)
	}
}

func TestReportCounts(t *testing.T) {
	w := newWorld(0)
	webhook := Generator{1}.Order(0)[0].Webhook
	w.send(webhook)
	w.Attempts = []Attempt{
		{Event: webhook.Event, To: "ingest-1", From: 100, Done: 200, Failure: "cut"},
		{Event: webhook.Event, To: "ingest-1", From: 300, Done: 400, Status: 503},
		{Event: webhook.Event, To: "ingest-2", From: 500, Done: 600, Status: 200, Verdict: "duplicate"},
		{Event: webhook.Event, To: "ingest-1", From: 700, Done: 800, Status: 200, Verdict: "duplicate"},
		{Event: webhook.Event, To: "ingest-1", From: 850, Done: 890, Status: 503}, // during two faults
	}
	w.Faults = []Fault{
		{Kind: kill, Target: "api-1", From: 50, Healed: 450, Over: 450, Ready: 475},
		{Kind: latency, Target: "ingest-2 to api-1", From: 480, Healed: 510, Over: 510, Ready: 610},
		{Kind: freeze, Target: "ingest-1", From: 810, Healed: 900, Over: 900, Ready: 910},
		{Kind: lock, Target: "database", From: 820, Healed: 900, Over: 900, Ready: 910},
	}
	r := NewReport(w.History, &w.State)
	if r.Acked != 1 || r.Redelivered != 1 || r.Recovered != 1 || r.Attempts != 5 {
		t.Errorf("acked %d, redelivered %d, recovered %d of %d attempts", r.Acked, r.Redelivered, r.Recovered, r.Attempts)
	}
	want := map[string]map[string]int{"kill api": {"cut": 1, "503": 1}, "latency ingest to api": {"2xx": 1}}
	if !reflect.DeepEqual(r.Answers, want) {
		t.Errorf("the answers are %v, want %v", r.Answers, want)
	}
	if r.Ready.Microseconds() != 100 || r.Accepting.Microseconds() != 290 {
		t.Errorf("ready after %s, accepting after %s", r.Ready, r.Accepting)
	}
}

// TestTable: every line has what the head promises, and the last one the most of all.
func TestTable(t *testing.T) {
	table := Table([]*Report{{Back: time.Second, MoreGoroutines: 7, MoreHeap: 1 << 20}, {Back: 2 * time.Second, MoreGoroutines: 3, MoreHeap: 3 << 19}})
	lines := strings.Split(strings.TrimSpace(table), "\n")
	for _, line := range lines {
		if strings.Count(line, "|") != strings.Count(lines[0], "|") {
			t.Errorf("the line has not as many columns as the head: %s", line)
		}
	}
	if all := lines[len(lines)-1]; !strings.HasSuffix(all, "| 2.0 s | 7 | 1.5 MiB |") {
		t.Errorf("the last line is %s", all)
	}
}
