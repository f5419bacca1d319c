package report

import (
	"bytes"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample returns a report with three rounds of two modes. Rates are multiplied by
// factor.
func sample(factor float64) *Report {
	r := &Report{
		Began: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Command: "app bench", Version: "v1",
		Machine: Machine{CPU: "Some CPU", Cores: 2, Memory: 24 << 30, System: "Linux 6", Go: "go1.26"}, Workload: "orders, 400 B", Database: "SQLite", DatabaseVersion: "3.99",
		Modes: []Mode{{"direct", "none"}, {"kafka", "Kafka protocol"}}, Loads: []Load{{Name: "64 connections", Connections: 64}},
	}
	for round := range 3 {
		for i, mode := range []string{"direct", "kafka"} {
			speed := factor * float64(1000*(i+1)+10*round)
			run := Run{
				Mode: mode, Load: "64 connections", Round: round + 1, Seconds: 5, Sent: 5000, Accepted: 5000,
				AcceptedPerSecond: speed, AppliedPerSecond: speed, Ack: Latency{5, 8, 10, 12, 20},
				CPU: map[string]float64{"api": 0.1, "ingest": 0.05}, PeakMemory: map[string]int64{"api": 50 << 20},
				Allocations: map[string]Allocations{"api": {100, 2048}}, Batches: map[string]float64{"ledger": 30.5},
			}
			if mode == "kafka" {
				run.Applied = &Latency{30, 50, 60, 70, 90}
				run.Wire = map[string]Wire{"broker": {400, 600}, "database": {9999, 9999}}
			}
			r.Runs = append(r.Runs, run)
		}
	}
	return r
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3, 1}},
		{[]float64{3, 1, 2}, Spread{2, 1, 3, 3}},
		{[]float64{4, 1, 2, 8}, Spread{3, 1, 8, 4}},
	} {
		if got := spread(c.values); got != c.want {
			t.Errorf("spread(%v) = %+v, want %+v", c.values, got, c.want)
		}
	}
}

func TestFiguresThatWereNotMeasured(t *testing.T) {
	r := sample(1)
	if s := figure("applied p50").Over(r.Select("direct", "64 connections")); s.Known() {
		t.Errorf("applied p50 = %+v, want it not known", s)
	}
	if s := figure("wire").Over(r.Select("direct", "64 connections")); s.Known() {
		t.Errorf("wire = %+v, want it not known", s)
	}
	if s := figure("wire").Over(r.Select("kafka", "64 connections")); s.Median != 1000 {
		t.Errorf("wire = %+v, want 1000, the broker's without the database's", s)
	}
	if s := figure("CPU").Over(r.Select("kafka", "64 connections")); math.Abs(s.Median-0.15) > 1e-9 {
		t.Errorf("CPU = %+v, want 0.15, the sum", s)
	}
}

func TestWriteAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	r := sample(1)
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("Read() = %+v, %v, want what was written", got, err)
	}
	if _, err := Read("report_test.go"); err == nil || !strings.Contains(err.Error(), "app bench --json") {
		t.Errorf("Read of another file = %v, want an error that names app bench --json", err)
	}
}

func printed(t *testing.T, r *Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPrint(t *testing.T) {
	r := sample(1)
	text := printed(t, r)
	for _, want := range []string{
		"2 cores of Some CPU, 24 GiB", "workload orders, 400 B, database SQLite 3.99\n", "64 connections, median of 3", "1010", "±1%", "2010", "api 0.100, ingest 0.050", "api 50",
		"ledger 30.5", "kafka            Kafka protocol", "each of the 30000 webhooks accepted is in the database",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	r.Runs[0].Errors = map[string]int64{"503 overloaded": 3}
	if text := printed(t, r); !strings.Contains(text, "3 × 503 overloaded") {
		t.Errorf("the text lacks the errors:\n%s", text)
	}
	r.Unchecked = "no API"
	if text := printed(t, r); !strings.Contains(text, "Not checked: no API") || strings.Contains(text, "is in the database") {
		t.Errorf("the text does not show that nothing was checked:\n%s", text)
	}
	r.Void = []string{"event 7 is lost"}
	if text := printed(t, r); !strings.Contains(text, "VOID") || !strings.Contains(text, "event 7 is lost") || strings.Contains(text, "is in the database") {
		t.Errorf("the text does not show that the figures are void:\n%s", text)
	}
}

func compared(t *testing.T, a, b *Report) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Compare(a, b, &out)
	return strings.Join(strings.Fields(out.String()), " "), err
}

func TestCompare(t *testing.T) {
	for factor, want := range map[float64]string{
		1.5:   "accepted /s 1010 1515 1.50 better",
		0.5:   "accepted /s 1010 505 0.50 worse",
		1.005: "accepted /s 1010 1015 1.00 within the noise",
	} {
		text, err := compared(t, sample(1), sample(factor))
		if err != nil || !strings.Contains(text, want) || !strings.Contains(text, "ack p99 ms 10.0 10.0 1.00 within the noise") {
			t.Errorf("Compare with rates multiplied by %v: %v, %s, want %q", factor, err, text, want)
		}
		if !strings.Contains(text, "3 and 3 rounds; chance alone would call 1 figure of 10 different") {
			t.Errorf("the comparison lacks the odds: %s", text)
		}
	}
}

func TestCompareOfSingleRounds(t *testing.T) {
	a, b := sample(1), sample(2)
	a.Runs, b.Runs = a.Runs[:2], b.Runs[:2]
	if text, err := compared(t, a, b); err != nil || !strings.Contains(text, "1000 2000 2.00 one round does not show the noise") {
		t.Errorf("Compare of single rounds: %v, %s, want no verdict", err, text)
	}
}

// Reports with different releases of a server may be compared.
func TestCompareOfOtherVersions(t *testing.T) {
	a, b := sample(1), sample(1)
	b.DatabaseVersion, b.Broker, b.BrokerVersion = "4.0", "Kafka at b:1", "3 brokers"
	want := "The servers differ: database SQLite 3.99, and database SQLite 4.0, broker Kafka at b:1 (3 brokers)."
	if text, err := compared(t, a, b); err != nil || !strings.Contains(text, want) {
		t.Errorf("Compare: %v, %s, want %q", err, text, want)
	}
}

func TestCompareLimits(t *testing.T) {
	a, b := sample(1), sample(1)
	for i := range 3 {
		a.Limits = append(a.Limits, Limit{Mode: "kafka", Round: i, Rate: 1000 + float64(i)})
		b.Limits = append(b.Limits, Limit{Mode: "kafka", Round: i, Rate: 2000 + float64(i)})
	}
	if text, err := compared(t, a, b); err != nil || !strings.Contains(text, "kafka 1001 2001 2.00 better") {
		t.Errorf("Compare of limits: %v, %s, want twice the rate", err, text)
	}
}

func TestCompareRefusesDifferentThings(t *testing.T) {
	for name, change := range map[string]func(*Report){
		"void":             func(r *Report) { r.Void = []string{"event 7 is lost"} },
		"another workload": func(r *Report) { r.Workload = "disputes, 400 B" },
		"another database": func(r *Report) { r.Database = "PostgreSQL" },
		"another load":     func(r *Report) { r.Loads[0].Name = "1 connections" },
	} {
		changed := sample(1)
		change(changed)
		if text, err := compared(t, sample(1), changed); err == nil {
			t.Errorf("%s: Compare() = nil, want an error: %s", name, text)
		}
	}
}

func TestOdds(t *testing.T) {
	for rounds, want := range map[int]string{1: "", 2: "of 3 ", 3: "of 10 ", 5: "of 126 "} {
		if got := odds(rounds, rounds); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("odds of %d rounds = %q, want %q", rounds, got, want)
		}
	}
}

func TestThisMachine(t *testing.T) {
	if m := ThisMachine(); m.Cores < 1 || m.CPU == "" || m.System == "" || !strings.HasPrefix(m.Go, "go1.") {
		t.Errorf("ThisMachine() = %+v, want cores, CPU, system and Go", m)
	}
}
