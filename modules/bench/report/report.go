// Package report holds the figures of a benchmark and presents them: as text, as
// Markdown, as an HTML page with charts, as JSON, and as a comparison of two reports.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Report is the result of one benchmark.
type Report struct {
	Began time.Time `json:"began"`
	// Command is the command line of the benchmark, Version the program's version.
	Command string  `json:"command"`
	Version string  `json:"version"`
	Machine Machine `json:"machine"`
	// Workload, Database and Broker describe what was sent and where it was stored.
	// Broker is empty if no mode used one.
	Workload string `json:"workload"`
	Database string `json:"database"`
	Broker   string `json:"broker,omitempty"`
	// DatabaseVersion and BrokerVersion are what the servers report; empty for those of
	// a target.
	DatabaseVersion string `json:"database_version,omitempty"`
	BrokerVersion   string `json:"broker_version,omitempty"`
	// Modes are the variants that were compared, in the order in which they took turns.
	Modes []Mode `json:"modes"`
	Loads []Load `json:"loads"`
	Runs  []Run  `json:"runs"`
	// Limits are the highest sustained rates, with --find-max.
	Limits []Limit `json:"limits,omitempty"`
	// Void lists the reasons why the figures must not be used. It is empty if the
	// database had each accepted webhook once after every run.
	Void []string `json:"void,omitempty"`
	// Unchecked is the reason why the database was not checked, if it was not.
	Unchecked string `json:"unchecked,omitempty"`
}

// Mode is a mode in one of its variants.
type Mode struct {
	// Name identifies it, such as "http+unary".
	Name string `json:"name"`
	// Wire describes what is between the roles: "Connect, JSON over HTTP/1.1, unary".
	Wire string `json:"wire"`
}

// Load is how webhooks were sent.
type Load struct {
	Name string `json:"name"`
	// Connections is the number of connections. Each sends its next webhook when the
	// last is answered or, if Rate is not 0, all send Rate webhooks per second.
	Connections int     `json:"connections"`
	Rate        float64 `json:"rate,omitempty"`
}

// Run is one mode under one load in one round. Figures per webhook are per accepted
// webhook. CPU and Wire include the work until everything is applied.
type Run struct {
	Mode  string `json:"mode"`
	Load  string `json:"load"`
	Round int    `json:"round"`

	Seconds  float64          `json:"seconds"`
	Sent     int64            `json:"sent"`
	Accepted int64            `json:"accepted"`
	Errors   map[string]int64 `json:"errors,omitempty"`

	AcceptedPerSecond float64 `json:"accepted_per_second"`
	// AppliedPerSecond is the accepted webhooks over the time until the last of them
	// was applied.
	AppliedPerSecond float64 `json:"applied_per_second"`
	// Ack is the time from when a webhook was due (in an open loop) or sent to its
	// answer.
	Ack Latency `json:"ack"`
	// Applied is the time from the receipt of a webhook to its commit; nil if the
	// metrics of the api role cannot be read.
	Applied *Latency `json:"applied,omitempty"`
	// Late is the part of Ack before a webhook was sent.
	Late Latency `json:"late"`
	// Answer is the part of Ack after a webhook was sent.
	Answer Latency `json:"answer"`
	// Drain is the work after the last answer.
	Drain Drain `json:"drain"`

	// CPU is the processor time in seconds per 1,000 webhooks, by process.
	CPU map[string]float64 `json:"cpu_seconds_per_1000,omitempty"`
	// SenderCPU is the same for the process that sends and measures.
	SenderCPU float64 `json:"sender_cpu_seconds_per_1000,omitempty"`
	// PeakMemory is the largest resident memory since the start of each process, in
	// bytes.
	PeakMemory map[string]int64 `json:"peak_memory_bytes,omitempty"`
	// Allocations are per webhook, by process.
	Allocations map[string]Allocations `json:"allocations,omitempty"`
	// Wire is the traffic per webhook, by server.
	Wire map[string]Wire `json:"wire_bytes,omitempty"`
	// Batches are the mean sizes of the batches that a stage received.
	Batches map[string]float64 `json:"batches,omitempty"`
}

// Latency holds percentiles in milliseconds.
type Latency struct {
	P50  float64 `json:"p50_ms"`
	P95  float64 `json:"p95_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	Max  float64 `json:"max_ms"`
}

// Drain is the backlog of accepted webhooks at the end of a load and the time until
// they were applied.
type Drain struct {
	Backlog   int64   `json:"backlog"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second,omitempty"`
}

// Allocations are heap allocations.
type Allocations struct {
	Objects float64 `json:"objects"`
	Bytes   float64 `json:"bytes"`
}

// Wire is TCP payload in bytes.
type Wire struct {
	To   float64 `json:"to"`
	From float64 `json:"from"`
}

// Limit is the highest rate that a mode sustained in one round.
type Limit struct {
	Mode  string  `json:"mode"`
	Round int     `json:"round"`
	Rate  float64 `json:"rate"`
	// Broke is the limit that the next higher rate broke.
	Broke string `json:"broke"`
}

// Servers describes the database and, if there is one, the broker.
func (r *Report) Servers() string {
	text := strings.TrimSpace("database " + r.Database + " " + r.DatabaseVersion)
	if r.Broker != "" {
		text += ", broker " + r.Broker
	}
	if r.BrokerVersion != "" {
		text += " (" + r.BrokerVersion + ")"
	}
	return text
}

// accepted returns the number of accepted webhooks of all runs.
func (r *Report) accepted() (count int64) {
	for _, run := range r.Runs {
		count += run.Accepted
	}
	return count
}

// Write saves the report as JSON.
func (r *Report) Write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// Read returns a report that Write saved.
func Read(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil || len(r.Runs) == 0 {
		return nil, fmt.Errorf("%s is not a report: make one with app bench --json %s", path, path)
	}
	return r, nil
}
