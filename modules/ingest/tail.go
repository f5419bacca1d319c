package ingest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Observation is what happened to one webhook of a source, without its body.
type Observation struct {
	Time      time.Time  `json:"time"` // of its headers
	RequestID string     `json:"request_id"`
	Source    string     `json:"source"`
	Provider  string     `json:"provider"`
	Remote    netip.Addr `json:"remote"`
	// Event is the provider's type of the event, if it has one.
	Event   string `json:"event,omitempty"`
	EventID string `json:"event_id,omitempty"` // of the first update
	OrderID string `json:"order_id,omitempty"` // of the first update
	Updates int    `json:"updates,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	Reason  string `json:"reason,omitempty"` // of a dead letter
	Status  int    `json:"status"`           // of the answer
	// Refusal is the code of an answer other than 2xx.
	Refusal string        `json:"refusal,omitempty"`
	Bytes   int           `json:"bytes"`
	Latency time.Duration `json:"latency_ns"`
	// Traceparent is the W3C trace context of the webhook, if it is traced.
	Traceparent string `json:"traceparent,omitempty"`
	// Verified reports whether the webhook has a valid signature, also if it was refused for
	// another reason.
	Verified bool `json:"-"`
	// Secret is the index of the secret that signed the webhook.
	Secret int `json:"-"`
}

// observe passes on what happened to a webhook.
func (s *Server) observe(ctx context.Context, seen *Observation) {
	if s.cfg.Observe != nil {
		s.cfg.Observe(ctx, seen)
	}
	s.tail.publish(seen)
}

const (
	// maxTails is the largest number of clients that follow the webhooks at once.
	maxTails = 16
	// tailBuffer is the number of webhooks that wait for a client that reads slowly. It
	// misses further ones.
	tailBuffer = 1024
	// tailTime is the time in which a client must take what is written to it.
	tailTime = 10 * time.Second
	// tailPause is the time between empty lines, which keep an idle connection open and
	// notice that its client is gone.
	tailPause = 5 * time.Second
)

// Tail streams observations to clients, one JSON object in a line. A line may have the
// member missed instead: the number of webhooks that the client was too slow for.
type Tail struct {
	clients atomic.Int32
	mu      sync.Mutex
	follow  map[*follower]struct{}
}

type follower struct {
	lines  chan Observation
	missed atomic.Int64
}

func newTail() *Tail { return &Tail{follow: make(map[*follower]struct{})} }

// publish passes an observation to all clients. It never waits for one.
func (t *Tail) publish(seen *Observation) {
	if t.clients.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for f := range t.follow {
		select {
		case f.lines <- *seen:
		default:
			f.missed.Add(1)
		}
	}
}

// ServeHTTP streams until the client leaves or the server stops.
func (t *Tail) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := &follower{lines: make(chan Observation, tailBuffer)}
	if !t.add(f) {
		http.Error(w, "too many clients follow the webhooks: stop one", http.StatusServiceUnavailable)
		return
	}
	defer t.remove(f)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	pause := time.NewTicker(tailPause)
	defer pause.Stop()
	for {
		// Errors of the deadline are those of the connection, which the write reports.
		_ = control.SetWriteDeadline(time.Now().Add(tailTime))
		if control.Flush() != nil {
			return
		}
		var err error
		select {
		case <-r.Context().Done():
			return
		case seen := <-f.lines:
			if missed := f.missed.Swap(0); missed > 0 {
				err = lines.Encode(map[string]int64{"missed": missed})
			}
			if err == nil {
				err = lines.Encode(seen)
			}
		case <-pause.C:
			_, err = w.Write([]byte("\n"))
		}
		if err != nil {
			return
		}
	}
}

func (t *Tail) add(f *follower) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.follow) >= maxTails {
		return false
	}
	t.follow[f] = struct{}{}
	t.clients.Add(1)
	return true
}

func (t *Tail) remove(f *follower) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.follow, f)
	t.clients.Add(-1)
}
