package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// Recorder writes a history while it happens, as lines of JSON: each webhook
// before it is sent, and each answer. It belongs to the testing process, which is
// never killed. Its methods may be called concurrently.
type Recorder struct {
	began time.Time

	mu       sync.Mutex
	file     *os.File
	out      *bufio.Writer
	failed   error
	known    map[string]bool
	webhooks []*Webhook
	attempts []Attempt
	poison   map[string]PoisonRecord // by digest
	listings []Listing
}

// entry is a line of the file: a webhook that was not sent before, the beginning
// of an attempt, its end, a poison record, or a listing.
type entry struct {
	Webhook *Webhook      `json:"webhook,omitempty"`
	Sends   *sending      `json:"sends,omitempty"`
	Done    *Attempt      `json:"done,omitempty"`
	Poison  *PoisonRecord `json:"stray,omitempty"`
	Listing *Listing      `json:"listing,omitempty"`
}

type sending struct {
	Webhook string `json:"webhook"`
	To      string `json:"to"`
	At      int64  `json:"at"`
}

// NewRecorder creates the file of a run in a directory. The time of the run counts
// from now.
func NewRecorder(dir string) (*Recorder, error) {
	file, err := os.Create(attemptsPath(dir))
	if err != nil {
		return nil, fmt.Errorf("record the run: %w", err)
	}
	return &Recorder{began: time.Now(), file: file, out: bufio.NewWriterSize(file, 1<<20),
		known: make(map[string]bool), poison: make(map[string]PoisonRecord)}, nil
}

// Now returns the microseconds since the run began.
func (r *Recorder) Now() int64 { return time.Since(r.began).Microseconds() }

// Sending records that a webhook is about to be sent, and returns the attempt.
func (r *Recorder) Sending(w *Webhook, to string) Attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known[w.ID] {
		r.known[w.ID] = true
		r.webhooks = append(r.webhooks, w)
		r.write(entry{Webhook: w})
	}
	r.write(entry{Sends: &sending{w.ID, to, r.Now()}})
	return Attempt{Webhook: w.ID, To: to}
}

// Done records the end of an attempt. The caller has set its times: Done may have
// to wait for others that record.
func (r *Recorder) Done(a Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts = append(r.attempts, a)
	r.write(entry{Done: &a})
}

// Poison records a record that is about to be written to a topic, or was
// acknowledged.
func (r *Recorder) Poison(p PoisonRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.poison[p.Digest] = p
	r.write(entry{Poison: &p})
}

// Listing records all pages of a listing.
func (r *Recorder) Listing(l Listing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listings = append(r.listings, l)
	r.write(entry{Listing: &l})
}

func (r *Recorder) write(e entry) {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = r.out.Write(append(line, '\n'))
	}
	r.fail(err)
}

// fail keeps the first error, which Close returns.
func (r *Recorder) fail(err error) {
	if err != nil && r.failed == nil {
		r.failed = fmt.Errorf("record the run: %w", err)
	}
}

// Close flushes and closes the file, and stores everything that was recorded in h.
func (r *Recorder) Close(h *History) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.Webhooks, h.Attempts, h.Poison = r.webhooks, r.attempts, slices.Collect(maps.Values(r.poison))
	h.Listings = r.listings
	r.fail(r.out.Flush())
	r.fail(r.file.Close())
	return r.failed
}
