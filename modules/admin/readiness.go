package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// checkTimeout is how long one readiness check may take; probes commonly give
// up after a second or two.
const checkTimeout = time.Second

var (
	errNotServing = errors.New("the process is starting or stopping")
	errNoAnswer   = errors.New("no answer within " + checkTimeout.String())
)

// readiness is ready when it was told so and every check passes.
type readiness struct {
	ready atomic.Bool

	mu     sync.Mutex
	checks []*check
}

// SetReady says whether the process takes work: true at the end of its start,
// false as the first step of its stop.
func (s *Server) SetReady(ready bool) { s.readiness.ready.Store(ready) }

// AddCheck makes readiness depend on check, which is called for each probe with
// a context that ends after a second. A check that outstays it counts as failed
// and is not called again before it has returned.
func (s *Server) AddCheck(name string, run func(context.Context) error) {
	s.readiness.mu.Lock()
	defer s.readiness.mu.Unlock()
	s.readiness.checks = append(s.readiness.checks, &check{name: name, run: run, busy: make(chan struct{}, 1)})
}

// failure is one line of the answer of /readyz.
type failure struct {
	Check  string `json:"check"`
	Reason string `json:"reason"`
}

// serve answers 200 {"ready":true}, or 503 with what fails.
func (r *readiness) serve(w http.ResponseWriter, req *http.Request) {
	failing := r.failing(req.Context())
	if len(failing) == 0 {
		writeJSON(w, http.StatusOK, map[string]bool{"ready": true})
		return
	}
	writeJSON(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "failing": failing})
}

// failing runs all checks at once and lists those that fail in the order in
// which they were added.
func (r *readiness) failing(ctx context.Context) []failure {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var failing []failure
	if !r.ready.Load() {
		failing = append(failing, failure{"serving", errNotServing.Error()})
	}
	r.mu.Lock()
	checks := r.checks // only ever appended to
	r.mu.Unlock()

	results := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { results[i] = c.ask(ctx) })
	}
	wg.Wait()
	for i, err := range results {
		if err != nil {
			failing = append(failing, failure{checks[i].name, err.Error()})
		}
	}
	return failing
}

// check is one named condition of readiness. busy holds a token while run is
// under way: a check that ignores its context costs one goroutine, however
// often it is asked.
type check struct {
	name string
	run  func(context.Context) error
	busy chan struct{}
}

func (c *check) ask(ctx context.Context) error {
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		return errNoAnswer
	}
	result := make(chan error, 1)
	go func() {
		defer func() { <-c.busy }()
		result <- c.run(ctx)
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return errNoAnswer
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only when the client is gone
}
