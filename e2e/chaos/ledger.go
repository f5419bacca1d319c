package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// Ledger is the provider's book of what it did, written before it sends and when
// it knows the answer, as JSON lines. It is kept by the process that tests, which
// nobody kills. Its methods may be called concurrently.
type Ledger struct {
	began time.Time

	mu       sync.Mutex
	file     *os.File
	out      *bufio.Writer
	failed   error
	known    map[string]bool
	webhooks []*Webhook
	attempts []Attempt
	strays   map[string]Stray // by digest
}

// entry is a line of the ledger: a webhook that was never sent before, the
// beginning of an attempt, or its end.
type entry struct {
	Webhook *Webhook `json:"webhook,omitempty"`
	Sends   *sending `json:"sends,omitempty"`
	Done    *Attempt `json:"done,omitempty"`
	Stray   *Stray   `json:"stray,omitempty"`
}

type sending struct {
	Event string `json:"event"`
	To    string `json:"to"`
	At    int64  `json:"at"`
}

// OpenLedger begins a ledger in a file. Times count from now.
func OpenLedger(path string) (*Ledger, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("open the provider's ledger: %w", err)
	}
	return &Ledger{began: time.Now(), file: file, out: bufio.NewWriterSize(file, 1<<20), known: make(map[string]bool), strays: make(map[string]Stray)}, nil
}

// Now is the time of the run, in microseconds.
func (l *Ledger) Now() int64 { return time.Since(l.began).Microseconds() }

// Sends notes that a webhook is about to be sent, and gives the attempt.
func (l *Ledger) Sends(w *Webhook, to string) Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known[w.Event] {
		l.known[w.Event] = true
		l.webhooks = append(l.webhooks, w)
		l.write(entry{Webhook: w})
	}
	l.write(entry{Sends: &sending{w.Event, to, l.Now()}})
	return Attempt{Event: w.Event, To: to}
}

// Done notes how an attempt ended. Whoever made it has looked at the clock: to
// write it down may take a while.
func (l *Ledger) Done(a Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, a)
	l.write(entry{Done: &a})
}

// Strays notes a record that is about to be written to a topic, or that was.
func (l *Ledger) Strays(s Stray) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strays[s.Digest] = s
	l.write(entry{Stray: &s})
}

func (l *Ledger) write(e entry) {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = l.out.Write(append(line, '\n'))
	}
	if err != nil && l.failed == nil {
		l.failed = fmt.Errorf("write the provider's ledger: %w", err)
	}
}

// Close writes what is not written yet and hands all that the ledger holds over to
// a history.
func (l *Ledger) Close(h *History) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.Webhooks, h.Attempts, h.Strays = l.webhooks, l.attempts, slices.Collect(maps.Values(l.strays))
	if err := l.out.Flush(); err != nil && l.failed == nil {
		l.failed = fmt.Errorf("write the provider's ledger: %w", err)
	}
	if err := l.file.Close(); err != nil && l.failed == nil {
		l.failed = fmt.Errorf("close the provider's ledger: %w", err)
	}
	return l.failed
}

// ReadLedger reads a ledger that was kept.
func ReadLedger(path string, h *History) error {
	strays := make(map[string]Stray)
	err := readLines(path, func(e entry) {
		switch {
		case e.Webhook != nil:
			h.Webhooks = append(h.Webhooks, e.Webhook)
		case e.Done != nil:
			h.Attempts = append(h.Attempts, *e.Done)
		case e.Stray != nil:
			strays[e.Stray.Digest] = *e.Stray
		}
	})
	h.Strays = slices.Collect(maps.Values(strays))
	return err
}

// readLines reads a file of JSON lines.
func readLines[T any](path string, each func(T)) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read what a run left: %w", err)
	}
	defer file.Close()
	for decoder := json.NewDecoder(bufio.NewReaderSize(file, 1<<20)); ; {
		var line T
		err := decoder.Decode(&line)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		each(line)
	}
}

// writeLines writes a file of JSON lines.
func writeLines[T any](path string, items []T) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("save a run: %w", err)
	}
	out := bufio.NewWriter(file)
	encoder := json.NewEncoder(out)
	for _, item := range items {
		if err := encoder.Encode(item); err != nil {
			_ = file.Close() // the encoder's error says what is wrong
			return fmt.Errorf("save a run: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		_ = file.Close() // the error before says what is wrong
		return fmt.Errorf("save a run: %w", err)
	}
	return file.Close()
}
