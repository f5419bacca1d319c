// Package checker judges a run: it compares what was sent and answered with what
// the database holds, checks the invariants C1 to C7, and sums the run up in a
// report and in tables. It has its own model of what the database should hold, and
// uses nothing of the program under test.
package checker

import (
	"fmt"
	"slices"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// The invariants.
const (
	NoLoss          = "C1 no loss"
	NoPhantom       = "C2 no phantom"
	ExactlyOnce     = "C3 exactly once"
	Convergence     = "C4 convergence"
	DefiniteFailure = "C5 definite failure"
	Liveness        = "C6 liveness"
	BoundedAnswers  = "C7 bounded answers"
	Parity          = "C9 parity"
)

// Violation is one breach of an invariant.
type Violation struct {
	Invariant string `json:"invariant"`
	// Kind is the column of the table that counts it: lost, doubled, stuck, diverged
	// or other.
	Kind string `json:"kind"`
	What string `json:"what"`
}

// The kinds of violations.
const (
	lost     = "lost"
	doubled  = "doubled"
	stuck    = "stuck"
	diverged = "diverged"
	other    = "other"
)

// checker has a history and the final state, indexed by event.
type checker struct {
	*history.History
	state *history.State

	sent     map[string]*history.Webhook
	attempts map[string][]*history.Attempt
	recorded map[string][]*history.Event
	letters  map[letterKey][]*history.DeadLetter
	found    []Violation
}

type letterKey struct{ event, digest string }

// Check returns the violations of the invariants C1 to C7. C8 is only reported,
// and C9 compares several runs: see [CheckParity].
func Check(h *history.History, s *history.State) []Violation {
	c := &checker{History: h, state: s,
		sent: make(map[string]*history.Webhook), attempts: make(map[string][]*history.Attempt),
		recorded: make(map[string][]*history.Event), letters: make(map[letterKey][]*history.DeadLetter)}
	for _, w := range h.Webhooks {
		c.sent[w.Event] = w
	}
	for i := range h.Attempts {
		a := &h.Attempts[i]
		c.attempts[a.Event] = append(c.attempts[a.Event], a)
	}
	for i := range s.Events {
		e := &s.Events[i]
		c.recorded[e.Event] = append(c.recorded[e.Event], e)
	}
	for i := range s.DeadLetters {
		l := &s.DeadLetters[i]
		key := letterKey{l.Event, l.Digest}
		c.letters[key] = append(c.letters[key], l)
	}
	for _, w := range h.Webhooks {
		c.checkWebhook(w)
	}
	c.checkEvents()
	c.checkDeadLetters()
	c.checkStates()
	c.checkLiveness()
	c.checkAnswers()
	return c.found
}

func (c *checker) violated(invariant, kind, format string, args ...any) {
	c.found = append(c.found, Violation{invariant, kind, fmt.Sprintf(format, args...)})
}

// checkWebhook checks C1, C3 and C5 for one webhook.
func (c *checker) checkWebhook(w *history.Webhook) {
	rows, attempts := c.recorded[w.Event], c.attempts[w.Event]
	accepted := slices.ContainsFunc(attempts, (*history.Attempt).Accepted)
	onlyRefused := !slices.ContainsFunc(attempts, func(a *history.Attempt) bool { return !a.Refused() })
	switch {
	case accepted && len(rows) == 0:
		c.violated(NoLoss, lost, "%s was answered 2xx and is not recorded", w.Event)
	case onlyRefused && len(rows) > 0 && len(attempts) > 0:
		c.violated(DefiniteFailure, other, "%s was answered only 4xx and is recorded", w.Event)
	}
	if !w.Valid() && accepted {
		c.violated(DefiniteFailure, other, "%s must be refused with %d and was answered 2xx", w.Event, w.Refusal)
	}
	if len(rows) > 1 {
		c.violated(ExactlyOnce, doubled, "%s is recorded %d times", w.Event, len(rows))
	}
	for _, e := range rows {
		c.checkVerdict(e)
	}
}

// checkVerdict requires a final verdict, and exactly one open dead letter for an
// event that is dead-lettered.
func (c *checker) checkVerdict(e *history.Event) {
	open := 0
	for _, l := range c.letters[letterKey{e.Event, e.Digest}] {
		if l.Resolution == "" && l.Reason == e.Reason {
			open++
		}
	}
	switch e.Verdict {
	case "applied", "stale":
		if open > 0 {
			c.violated(Convergence, diverged, "%s is %s and also an open dead letter", e.Event, e.Verdict)
		}
	case "dead_lettered":
		if open != 1 {
			c.violated(NoLoss, lost, "%s is dead-lettered as %s and has %d open dead letters", e.Event, e.Reason, open)
		}
	default:
		c.violated(NoLoss, stuck, "%s has the verdict %q", e.Event, e.Verdict)
	}
}

// checkEvents checks C2 for events: each was sent before, and is recorded as it
// was sent. Sums need no check of their own, because no event is recorded twice
// and each has its own amount.
func (c *checker) checkEvents() {
	for i := range c.state.Events {
		e := &c.state.Events[i]
		w := c.sent[e.Event]
		switch {
		case w == nil || e.Provider != history.Provider:
			c.violated(NoPhantom, other, "%s/%s is recorded and was never sent", e.Provider, e.Event)
		case len(c.attempts[e.Event]) == 0:
			c.violated(NoPhantom, other, "%s is recorded and has not been sent yet", e.Event)
		case e.Digest != w.Digest() || e.BodyDigest != e.Digest:
			c.violated(NoPhantom, other, "%s is recorded with another body than was sent", e.Event)
		case e.Facts != w.Facts:
			c.violated(NoPhantom, other, "%s is recorded as %+v, want %+v", e.Event, e.Facts, w.Facts)
		}
	}
}

// checkDeadLetters checks C1 for poison records, and C2 for dead letters.
func (c *checker) checkDeadLetters() {
	written, open := make(map[string]bool), make(map[string]bool)
	for _, p := range c.Poison {
		written[p.Digest] = true
	}
	for i := range c.state.DeadLetters {
		l := &c.state.DeadLetters[i]
		if !written[l.Digest] && len(c.recorded[l.Event]) == 0 {
			c.violated(NoPhantom, other, "the dead letter %s/%s (%s) belongs to no recorded event", l.Provider, l.Event, l.Reason)
		}
		open[l.Digest] = open[l.Digest] || l.Resolution == ""
	}
	for _, p := range c.Poison {
		if p.Acked && !open[p.Digest] {
			c.violated(NoLoss, lost, "a poison record on %s did not become a dead letter", p.Topic)
		}
	}
}
