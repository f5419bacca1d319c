package chaos

import "time"

// Attempt is one sending of a webhook. Times are microseconds since the run began.
type Attempt struct {
	Event string `json:"event"`
	// To is the process that it was sent to.
	To   string `json:"to"`
	From int64  `json:"from"`
	Done int64  `json:"done"`
	// Status is the answer's; 0 when there was none, and then Failure says how:
	// refused, cut or timeout.
	Status  int    `json:"status,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	Failure string `json:"failure,omitempty"`
	// Fault is what is wrong with the answer apart from its status.
	Fault string `json:"fault,omitempty"`
}

func (a *Attempt) accepted() bool { return a.Status/100 == 2 }

// refused says that the webhook was turned down for good.
func (a *Attempt) refused() bool { return a.Status/100 == 4 && a.Status != 429 }

// Fault is one act of the nemesis. Times are microseconds since the run began.
type Fault struct {
	// Kind is kill, terminate, freeze, or what is done to a link: blackhole, reset,
	// latency, slice; or lock, of the database's file.
	Kind string `json:"kind"`
	// Target is a process or a link, such as "api-1" or "ingest-1 to api-1".
	Target string `json:"target"`
	// From is when it struck, Healed when its cause was gone: a process started
	// again, a link mended. Over is when all that had happened with it was healed
	// too, and Ready when every process was ready after that.
	From   int64 `json:"from"`
	Healed int64 `json:"healed"`
	Over   int64 `json:"over"`
	Ready  int64 `json:"ready"`
	// Vitals are what every process needed after that, under the load, and Looked is
	// when: as soon as all were back at the baseline, or when they should have been.
	Looked int64    `json:"looked,omitempty"`
	Vitals []Vitals `json:"vitals,omitempty"`
}

// Vitals are what a process needs.
type Vitals struct {
	Process    string `json:"process"`
	Goroutines int    `json:"goroutines"`
	// Heap is in bytes, right after a garbage collection.
	Heap int64 `json:"heap"`
}

// History is all that the checker is told about a run, beside the final state.
type History struct {
	Cell Cell   `json:"cell"`
	Seed uint64 `json:"seed"`
	// Orders is how many orders were told, the first of the generator.
	Orders int    `json:"orders"`
	Limits Limits `json:"limits"`
	// CaughtUp is how long after the last healing everything was applied; below 0
	// if it never was.
	CaughtUp time.Duration `json:"caught_up"`
	// Complaints are about processes: a start or stop that went wrong, an error in
	// a log.
	Complaints []string `json:"complaints,omitempty"`
	// Baseline are the vitals of processes under the load, before the first fault.
	Baseline []Vitals `json:"baseline,omitempty"`
	// Fresh and Used are the vitals of processes just started, and of those that
	// went through the run.
	Fresh []Vitals `json:"fresh,omitempty"`
	Used  []Vitals `json:"used,omitempty"`
	// Stalls are when the tester itself was held up.
	Stalls []Stall `json:"stalls,omitempty"`

	Webhooks []*Webhook `json:"-"`
	Attempts []Attempt  `json:"-"`
	Strays   []Stray    `json:"-"`
	Faults   []Fault    `json:"-"`
}

// Event is a recorded event, as the table has it.
type Event struct {
	Provider string `json:"provider"`
	Event    string `json:"event"`
	Says     Facts  `json:"says"`
	Digest   string `json:"digest"`
	// Stored is the digest of the body that is stored.
	Stored    string `json:"stored"`
	Verdict   string `json:"verdict"`
	Reason    string `json:"reason,omitempty"`
	InHistory bool   `json:"in_history"`
}

// StoredOrder is a row of the orders' table.
type StoredOrder struct {
	Order
	Version int64 `json:"version"`
}

// DeadLetter is a row of their table.
type DeadLetter struct {
	Provider   string `json:"provider"`
	Event      string `json:"event"`
	Digest     string `json:"digest"`
	Reason     string `json:"reason"`
	Resolution string `json:"resolution,omitempty"`
}

// State is what the database holds in the end.
type State struct {
	Events   []Event       `json:"events"`
	Orders   []StoredOrder `json:"orders"`
	Disputes []Dispute     `json:"disputes"`
	Letters  []DeadLetter  `json:"letters"`
}
