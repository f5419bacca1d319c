package history

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// History is all that a run left, apart from the final state of the database.
type History struct {
	Cell Cell   `json:"cell"`
	Seed uint64 `json:"seed"`
	// Orders is the number of orders that were generated, beginning with order 0.
	Orders int    `json:"orders"`
	Limits Limits `json:"limits"`
	// CaughtUp is the time from the end of the last fault until everything was
	// applied, or less than 0 if that did not happen in time.
	CaughtUp time.Duration `json:"caught_up"`
	// Complaints are failures of processes: a start or stop that failed, or an error
	// in a log.
	Complaints []string `json:"complaints,omitempty"`
	// Decisions are what an operator decided about dead letters after the last fault.
	Decisions []Decision `json:"decisions,omitempty"`
	// Replays are the dead letters that an operator had judged again meanwhile.
	Replays []Replay `json:"replays,omitempty"`
	// Rederived is what the program reported at the end of the run about its database.
	Rederived *Rederived `json:"rederived,omitempty"`
	// Baseline is the usage of every process under load, before the first fault.
	Baseline []Usage `json:"baseline,omitempty"`
	// Used is the idle usage of the processes after the run, and Fresh that of the
	// same processes just started.
	Fresh []Usage `json:"fresh,omitempty"`
	Used  []Usage `json:"used,omitempty"`
	// Stalls are the times in which the tester itself did not run.
	Stalls []Stall `json:"stalls,omitempty"`

	Webhooks []*Webhook     `json:"-"`
	Attempts []Attempt      `json:"-"`
	Poison   []PoisonRecord `json:"-"`
	Faults   []Fault        `json:"-"`
	Listings []Listing      `json:"-"`
}

// OrderID returns the id of the order with a number, from 0.
func OrderID(number int) string { return fmt.Sprintf("o-%d", number) }

// Attempt is one sending of a webhook. Times are microseconds since the run began.
type Attempt struct {
	// Webhook is the ID of the webhook.
	Webhook string `json:"webhook"`
	// To is the name of the ingest process.
	To   string `json:"to"`
	From int64  `json:"from"`
	Done int64  `json:"done"`
	// Status is the status of the answer. It is 0 if there was none; Failure is then
	// "refused", "cut" or "timeout".
	Status  int    `json:"status,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	Failure string `json:"failure,omitempty"`
	// Defect is what is wrong with the answer apart from its status.
	Defect string `json:"fault,omitempty"`
}

// Accepted reports whether the webhook was answered 2xx.
func (a *Attempt) Accepted() bool { return a.Status/100 == 2 }

// Refused reports whether the answer is a final refusal.
func (a *Attempt) Refused() bool {
	return a.Status/100 == 4 && a.Status != http.StatusTooManyRequests
}

// Outcome returns the result as the provider sees it: "2xx", another status, or
// the kind of failure.
func (a *Attempt) Outcome() string {
	switch {
	case a.Failure != "":
		return a.Failure
	case a.Accepted():
		return "2xx"
	default:
		return fmt.Sprint(a.Status)
	}
}

// PoisonRecord is a record on a topic that is not an update. It must become a
// dead letter, and must not hold up the records after it.
type PoisonRecord struct {
	Digest string `json:"digest"`
	Topic  string `json:"topic"`
	// Acked reports whether the broker acknowledged the record.
	Acked bool `json:"acked,omitempty"`
}

// The kinds of faults.
const (
	Kill      = "kill"      // SIGKILL to a process
	Terminate = "terminate" // SIGTERM to a process
	Freeze    = "freeze"    // SIGSTOP to a process, and SIGCONT later
	Blackhole = "blackhole" // a link that drops everything and closes nothing
	Reset     = "reset"     // a link whose connections are reset when data is sent
	Latency   = "latency"   // a link that delays everything
	Slice     = "slice"     // a link that sends small pieces with pauses
	Lock      = "lock"      // a lock on SQLite's file, as a backup holds it
	Restore   = "restore"   // a backup of SQLite's file in its place
)

// LinkFaults are the kinds of faults of a link.
var LinkFaults = []string{Blackhole, Reset, Latency, Slice}

// Fault is one act of the nemesis. Times are microseconds since the run began.
type Fault struct {
	Kind string `json:"kind"`
	// Target is the name of a process or link, such as "api-1" or "ingest-1 to
	// api-1", or "database".
	Target string `json:"target"`
	// From is when the fault began, Healed when its cause was gone: the process was
	// started again, or the link restored. Over is when all faults of the same
	// episode were healed, and Ready when every process was ready after that.
	From   int64 `json:"from"`
	Healed int64 `json:"healed"`
	Over   int64 `json:"over"`
	Ready  int64 `json:"ready"`
	// Usage is what every process used after that, under load. Measured is when:
	// once all of them were back at the baseline, or when the time for it was up.
	Measured int64   `json:"looked,omitempty"`
	Usage    []Usage `json:"vitals,omitempty"`
	// Idle means that no webhooks were sent meanwhile.
	Idle bool `json:"idle,omitempty"`
}

// String returns the kind and the target.
func (f *Fault) String() string { return f.Kind + " " + f.Target }

// Class returns the kind and the target without the numbers of processes, such as
// "kill api".
func (f *Fault) Class() string {
	words := strings.Fields(f.String())
	for i, word := range words {
		words[i] = strings.TrimRight(word, "-0123456789")
	}
	return strings.Join(words, " ")
}

// LinkName returns the name of the link between two processes.
func LinkName(from, to string) string { return from + " to " + to }

// ProviderLink returns the name of the link between the provider and an ingest
// process.
func ProviderLink(ingest string) string { return LinkName("provider", ingest) }

// HeldUp returns the part of an attempt in which no answer was possible, or none
// could be timed: ingest was frozen, the provider's own link to it was disturbed,
// or the tester was stalled.
func (h *History) HeldUp(a *Attempt) time.Duration {
	held := h.StalledBetween(a.From, a.Done)
	for _, f := range h.Faults {
		if f.Kind == Freeze && f.Target == a.To || f.Target == ProviderLink(a.To) {
			held += Micros(overlap(a.From, a.Done, f.From, f.Healed))
		}
	}
	return held
}

// Micros converts microseconds, in which a history counts.
func Micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
