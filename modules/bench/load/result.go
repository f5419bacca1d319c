package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// notSent is how webhooks are counted that were due and found no connection free
// until the run was given up.
const notSent = "not sent: no connection was free"

// Result is what one run measured.
type Result struct {
	// Elapsed is from the first webhook to the last answer.
	Elapsed time.Duration
	// Sent were sent, Accepted of them answered 2xx.
	Sent, Accepted int64
	// Errors counts the others by kind, and what was due and could not be sent.
	Errors map[string]int64
	// Latency is from the moment when a webhook was due to its answer, in
	// microseconds, of those that were accepted.
	Latency *hdrhistogram.Histogram
	// Late is from then until it was sent: the time to connect, and in an open loop
	// the wait for a free connection, and what the sender itself was late.
	Late *hdrhistogram.Histogram
	// Answer is from then on: from the moment when it was sent to its answer, of
	// those that were accepted.
	Answer *hdrhistogram.Histogram

	mu sync.Mutex
}

func newResult() *Result {
	return &Result{Errors: make(map[string]int64), Latency: NewHistogram(), Late: NewHistogram(), Answer: NewHistogram()}
}

// NewHistogram counts microseconds up to ten minutes, to three digits.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, (10 * time.Minute).Microseconds(), 3)
}

func (r *Result) record(due, sent, answered time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Sent++
	_ = r.Late.RecordValue(sent.Sub(due).Microseconds()) // no run takes ten minutes
	if err != nil {
		r.Errors[kindOf(err)]++
		return
	}
	r.Accepted++
	_ = r.Latency.RecordValue(answered.Sub(due).Microseconds())
	_ = r.Answer.RecordValue(answered.Sub(sent).Microseconds())
}

func (r *Result) miss(count int64) {
	if count > 0 {
		r.Errors[notSent] += count
	}
}
