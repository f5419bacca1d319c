package checker

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/chaos/workload"
)

// TestReplay: the files of a run give the same report as the run itself, with and
// without violations.
func TestReplay(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		r, dir := newTestRun(50), t.TempDir()
		r.Baseline = []history.Usage{usage("api-1", 50, 4<<20)}
		r.Faults = []history.Fault{{Kind: history.Kill, Target: "api-1", From: 1, Healed: 20_000, Over: 20_000, Ready: 30_000, Measured: 40_000, Usage: []history.Usage{usage("api-1", 57, 5<<20)}}}
		recorder, err := history.NewRecorder(dir)
		if err != nil {
			t.Fatal(err)
		}
		r.rerecord(recorder)
		if err := recorder.Close(r.History); err != nil {
			t.Fatal(err)
		}
		if wrong {
			r.remove(r.find(valid).Key())
		}
		if err := history.Save(dir, r.History, &r.State); err != nil {
			t.Fatal(err)
		}
		want := NewReport(r.History, &r.State)
		got, err := Replay(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Replay() = %+v\nwant %+v", got, want)
		}
		if got.Back != 10*time.Millisecond || got.MoreGoroutines != 7 || got.MoreHeap != 1<<20 {
			t.Errorf("Replay() has %d goroutines and %d bytes more after %s, want 7 and 1 MiB after 10ms", got.MoreGoroutines, got.MoreHeap, got.Back)
		}
		if (len(got.Violations) > 0) != wrong {
			t.Errorf("wrong = %t: Violations = %v", wrong, got.Violations)
		}
	}
}

// rerecord records the run as if it happened now.
func (r *testRun) rerecord(recorder *history.Recorder) {
	for i, a := range r.Attempts {
		recorder.Sending(r.Webhooks[i], a.To)
		recorder.Done(a)
	}
	for _, p := range r.Poison {
		recorder.Poison(p)
	}
	for _, l := range r.Listings {
		recorder.Listing(l)
	}
}

func TestReportCounts(t *testing.T) {
	r := newTestRun(0)
	webhook := workload.Generator{Seed: 1}.Order(0)[0].Webhook
	r.send(webhook)
	r.Attempts = []history.Attempt{
		{Webhook: webhook.ID, To: "ingest-1", From: 100, Done: 200, Failure: "cut"},
		{Webhook: webhook.ID, To: "ingest-1", From: 300, Done: 400, Status: 503},
		{Webhook: webhook.ID, To: "ingest-2", From: 500, Done: 600, Status: 200, Verdict: "duplicate"},
		{Webhook: webhook.ID, To: "ingest-1", From: 700, Done: 800, Status: 200, Verdict: "duplicate"},
		{Webhook: webhook.ID, To: "ingest-1", From: 850, Done: 890, Status: 503}, // during two faults
	}
	r.Faults = []history.Fault{
		{Kind: history.Kill, Target: "api-1", From: 50, Healed: 450, Over: 450, Ready: 475},
		{Kind: history.Latency, Target: "ingest-2 to api-1", From: 480, Healed: 510, Over: 510, Ready: 610},
		{Kind: history.Freeze, Target: "ingest-1", From: 810, Healed: 900, Over: 900, Ready: 910},
		{Kind: history.Lock, Target: "database", From: 820, Healed: 900, Over: 900, Ready: 910},
	}
	got := NewReport(r.History, &r.State)
	if got.Acked != 1 || got.Redelivered != 1 || got.Recovered != 1 || got.Attempts != 5 {
		t.Errorf("Acked, Redelivered, Recovered, Attempts = %d, %d, %d, %d, want 1, 1, 1, 5", got.Acked, got.Redelivered, got.Recovered, got.Attempts)
	}
	want := map[string]map[string]int{"kill api": {"cut": 1, "503": 1}, "latency ingest to api": {"2xx": 1}}
	if !reflect.DeepEqual(got.Answers, want) {
		t.Errorf("Answers = %v, want %v", got.Answers, want)
	}
	if got.Ready.Microseconds() != 100 || got.Accepting.Microseconds() != 290 {
		t.Errorf("Ready, Accepting = %s, %s, want 100µs, 290µs", got.Ready, got.Accepting)
	}
}

// TestTable: every line has as many columns as the head, and the last line the maxima.
func TestTable(t *testing.T) {
	table := Table([]*Report{{Back: time.Second, MoreGoroutines: 7, MoreHeap: 1 << 20}, {Back: 2 * time.Second, MoreGoroutines: 3, MoreHeap: 3 << 19}})
	lines := strings.Split(strings.TrimSpace(table), "\n")
	for _, line := range lines {
		if strings.Count(line, "|") != strings.Count(lines[0], "|") {
			t.Errorf("Table() has a line with other columns than the head: %s", line)
		}
	}
	if all := lines[len(lines)-1]; !strings.HasSuffix(all, "| 2.0 s | 7 | 1.5 MiB |") {
		t.Errorf("Table() ends with %s", all)
	}
}
