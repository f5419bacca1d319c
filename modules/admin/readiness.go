package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// checkTimeout limits one readiness check, since probes commonly give up after a
	// second or two.
	checkTimeout = time.Second
	// gaugeAge is the age up to which a scrape shows the result of an earlier evaluation.
	gaugeAge = time.Second
)

var errNoAnswer = errors.New("no answer within " + checkTimeout.String())

// notServing is the check that SetReady sets, with its answer.
const (
	servingCheck = "serving"
	notServing   = "the process is starting or stopping"
)

// readiness is ready after SetReady(true), while every check passes.
type readiness struct {
	log   *slog.Logger
	ready atomic.Bool

	mu     sync.Mutex
	checks []*check

	gauge       sync.Mutex // held during an evaluation for the gauge
	evaluatedAt time.Time
	failed      map[string]bool // as of evaluatedAt
}

// SetReady sets whether the process accepts work: true at the end of its start,
// false at the beginning of its stop.
func (s *Server) SetReady(ready bool) { s.readiness.ready.Store(ready) }

// AddCheck makes readiness depend on run, which is called for each probe with a
// context that ends after a second. A check that takes longer fails, and is not
// called again before it returns.
//
// The answer to a probe has the name and the reason. The reason is a fixed text, because
// anyone may probe; the log has the error of run when the check begins to fail.
func (s *Server) AddCheck(name, reason string, run func(context.Context) error) {
	s.readiness.mu.Lock()
	defer s.readiness.mu.Unlock()
	s.readiness.checks = append(s.readiness.checks, &check{name: name, reason: reason, run: run, busy: make(chan struct{}, 1)})
}

// addReadinessGauge adds the gauge of the checks. Scrapes evaluate them at most once a
// second.
func (s *Server) addReadinessGauge() {
	s.AddGauges("payrelay_readiness_check", "Whether a readiness check passes (1) or fails (0).", []string{"check"},
		func(show func(float64, ...string)) {
			r := &s.readiness
			r.gauge.Lock()
			defer r.gauge.Unlock()
			names := []string{servingCheck}
			for _, c := range r.all() {
				names = append(names, c.name)
			}
			if time.Since(r.evaluatedAt) > gaugeAge {
				r.failed = make(map[string]bool)
				for _, f := range r.failing(context.Background()) {
					r.failed[f.Check] = true
				}
				r.evaluatedAt = time.Now()
			}
			for _, name := range names {
				passes := 1.0
				if r.failed[name] {
					passes = 0
				}
				show(passes, name)
			}
		})
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

func (r *readiness) all() []*check {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.checks // is only appended to
}

// failing runs all checks concurrently and returns those that fail, in the order
// in which they were added.
func (r *readiness) failing(ctx context.Context) []failure {
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var failing []failure
	if !r.ready.Load() {
		failing = append(failing, failure{servingCheck, notServing})
	}
	checks := r.all()
	results := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { results[i] = c.do(ctx) })
	}
	wg.Wait()
	for i, err := range results {
		if asked.Err() == nil { // otherwise the client disconnected, and the result means nothing
			checks[i].report(r.log, err)
		}
		if err != nil {
			failing = append(failing, failure{checks[i].name, checks[i].reason})
		}
	}
	return failing
}

// check is a named condition of readiness. busy holds a token while run is called,
// so that a check that ignores its context costs one goroutine and not one for
// each probe.
type check struct {
	name, reason string
	run          func(context.Context) error
	busy         chan struct{}
	failed       atomic.Bool
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

// report logs that the check began to fail, or passes again.
func (c *check) report(log *slog.Logger, err error) {
	switch failed := err != nil; {
	case c.failed.Swap(failed) == failed:
	case failed:
		log.Warn("not ready, because a check fails", "check", c.name, "reason", c.reason, "error", err)
	default:
		log.Info("a readiness check passes again", "check", c.name)
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only if the client has gone
}
