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

// checkTimeout limits one readiness check, since probes commonly give up after a
// second or two.
const checkTimeout = time.Second

var (
	errNotServing = errors.New("the process is starting or stopping")
	errNoAnswer   = errors.New("no answer within " + checkTimeout.String())
)

// readiness is ready after SetReady(true), while every check passes.
type readiness struct {
	ready atomic.Bool

	mu     sync.Mutex
	checks []*check
}

// SetReady sets whether the process accepts work: true at the end of its start,
// false as the first step of its stop.
func (s *Server) SetReady(ready bool) { s.readiness.ready.Store(ready) }

// AddCheck makes readiness depend on run, which is called for each probe with a
// context that ends after a second. A check that takes longer fails, and is not
// called again before it returns.
func (s *Server) AddCheck(name string, run func(context.Context) error) {
	s.readiness.mu.Lock()
	defer s.readiness.mu.Unlock()
	s.readiness.checks = append(s.readiness.checks, &check{name: name, run: run, busy: make(chan struct{}, 1)})
}

// failure is a failed check in the answer of /readyz.
type failure struct {
	Check  string `json:"check"`
	Reason string `json:"reason"`
}

// serve answers 200 {"ready":true}, or 503 with the checks that fail.
func (r *readiness) serve(w http.ResponseWriter, req *http.Request) {
	failing := r.failing(req.Context())
	if len(failing) == 0 {
		writeJSON(w, http.StatusOK, map[string]bool{"ready": true})
		return
	}
	writeJSON(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "failing": failing})
}

// failing runs all checks concurrently and returns those that fail, in the order
// in which they were added.
func (r *readiness) failing(ctx context.Context) []failure {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var failing []failure
	if !r.ready.Load() {
		failing = append(failing, failure{"serving", errNotServing.Error()})
	}
	r.mu.Lock()
	checks := r.checks // is only appended to
	r.mu.Unlock()

	results := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { results[i] = c.do(ctx) })
	}
	wg.Wait()
	for i, err := range results {
		if err != nil {
			failing = append(failing, failure{checks[i].name, err.Error()})
		}
	}
	return failing
}

// check is a named condition of readiness. busy holds a token while run is called,
// so that a check that ignores its context costs one goroutine and not one for
// each probe.
type check struct {
	name string
	run  func(context.Context) error
	busy chan struct{}
}

func (c *check) do(ctx context.Context) error {
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
	_ = json.NewEncoder(w).Encode(body) // fails only if the client has gone
}
