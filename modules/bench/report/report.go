// Package report says what a benchmark measured: to people as a table and a
// page with plots, to machines as JSON, and beside another report as ratios.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Report is all that one benchmark measured.
type Report struct {
	Began time.Time `json:"began"`
	// Command made it, Version is the program's.
	Command string  `json:"command"`
	Version string  `json:"version"`
	Machine Machine `json:"machine"`
	// Workload, Database and Broker say what was sent, and where it was kept.
	Workload string `json:"workload"`
	Database string `json:"database"`
	Broker   string `json:"broker,omitempty"`
	// DatabaseVersion and BrokerVersion are what those say about themselves.
	DatabaseVersion string `json:"database_version,omitempty"`
	BrokerVersion   string `json:"broker_version,omitempty"`
	// Modes are what was compared, in the order in which they took turns.
	Modes []Mode `json:"modes"`
	// Loads are how it was sent.
	Loads []Load `json:"loads"`
	Runs  []Run  `json:"runs"`
	// Limits are the highest rates that a mode sustained, if they were looked for.
	Limits []Limit `json:"limits,omitempty"`
	// Void says why the figures must not be used. It is empty when the database
	// has what was accepted, each once, after every run.
	Void []string `json:"void,omitempty"`
	// Unchecked says why the database could not be asked.
	Unchecked string `json:"unchecked,omitempty"`
}

// Mode is one way to deploy payrelay.
type Mode struct {
	// Name is what it goes by, such as "http+unary".
	Name string `json:"name"`
	// Wire is what is between the roles: "Connect, JSON over HTTP/1.1, unary".
	Wire string `json:"wire"`
}

// Load is a shape of sending.
type Load struct {
	Name string `json:"name"`
	// Connections send at once, each its next webhook when the last is answered;
	// with a Rate, so many a second, answered or not.
	Connections int     `json:"connections"`
	Rate        float64 `json:"rate,omitempty"`
}

// Run is one mode under one load in one round. Figures "per webhook" are per
// webhook accepted; CPU and wire include the work until all is applied.
type Run struct {
	Mode  string `json:"mode"`
	Load  string `json:"load"`
	Round int    `json:"round"`

	Seconds  float64          `json:"seconds"`
	Sent     int64            `json:"sent"`
	Accepted int64            `json:"accepted"`
	Errors   map[string]int64 `json:"errors,omitempty"`

	AcceptedPerSecond float64 `json:"accepted_per_second"`
	// AppliedPerSecond counts the time until the last one was applied.
	AppliedPerSecond float64 `json:"applied_per_second"`
	// Ack is from the moment when a webhook was due (open loop) or sent to its
	// answer.
	Ack Latency `json:"ack"`
	// Applied is from the receipt of a webhook to the commit of what it says.
	// Absent where the metrics of the api role cannot be read.
	Applied *Latency `json:"applied,omitempty"`
	// Late is how long webhooks that were due waited to be sent.
	Late Latency `json:"late"`
	// Answer is from the moment when a webhook was sent to its answer: what
	// remains of Ack without the wait before.
	Answer Latency `json:"answer"`
	// Drain is what was left to do after the last answer.
	Drain Drain `json:"drain"`

	// CPU is in seconds per 1,000 webhooks, by process.
	CPU map[string]float64 `json:"cpu_seconds_per_1000,omitempty"`
	// SenderCPU is the same of this program, which sends and measures.
	SenderCPU float64 `json:"sender_cpu_seconds_per_1000,omitempty"`
	// PeakMemory is resident, in bytes, since the start of each process.
	PeakMemory map[string]int64 `json:"peak_memory_bytes,omitempty"`
	// Allocations are per webhook, by process.
	Allocations map[string]Allocations `json:"allocations,omitempty"`
	// Wire is what goes to and from a server per webhook, by server.
	Wire map[string]Wire `json:"wire_bytes,omitempty"`
	// Batches are the mean sizes of the batches that a stage is handed.
	Batches map[string]float64 `json:"batches,omitempty"`
}

// Latency is in milliseconds.
type Latency struct {
	P50  float64 `json:"p50_ms"`
	P95  float64 `json:"p95_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	Max  float64 `json:"max_ms"`
}

// Drain is the backlog that a mode has when the load ends.
type Drain struct {
	Backlog   int64   `json:"backlog"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second,omitempty"`
}

// Allocations of the Go runtime.
type Allocations struct {
	Objects float64 `json:"objects"`
	Bytes   float64 `json:"bytes"`
}

// Wire is bytes of TCP payload.
type Wire struct {
	To   float64 `json:"to"`
	From float64 `json:"from"`
}

// Limit is the knee of a mode's latency in one round: the highest rate at which
// it kept what was asked for.
type Limit struct {
	Mode  string  `json:"mode"`
	Round int     `json:"round"`
	Rate  float64 `json:"rate"`
	// Broke says what the next higher rate broke.
	Broke string `json:"broke"`
}

// Servers are the database and, if there is one, the broker, for people.
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

// Write saves a report as JSON.
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

// Read is a report that Write saved.
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
