package chaos

import (
	"fmt"
	"slices"
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
	// Kind is what the final table counts: lost, doubled, stuck, diverged or other.
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

// checker compares what was told with what is stored.
type checker struct {
	*History
	state *State

	sent     map[string]*Webhook
	attempts map[string][]*Attempt
	recorded map[string][]*Event
	letters  map[[2]string][]*DeadLetter // by event and digest
	found    []Violation
}

// Check holds a run against the invariants C1 to C7; C8 is reported, and C9 is
// about several runs, see [CheckParity].
func Check(h *History, s *State) []Violation {
	c := &checker{History: h, state: s,
		sent: make(map[string]*Webhook), attempts: make(map[string][]*Attempt),
		recorded: make(map[string][]*Event), letters: make(map[[2]string][]*DeadLetter)}
	c.index()
	for _, w := range h.Webhooks {
		c.checkWebhook(w)
	}
	c.checkRecorded()
	c.checkLetters()
	c.checkStates()
	c.checkLiveness()
	c.checkAnswers()
	return c.found
}

func (c *checker) index() {
	for _, w := range c.Webhooks {
		c.sent[w.Event] = w
	}
	for i := range c.Attempts {
		a := &c.Attempts[i]
		c.attempts[a.Event] = append(c.attempts[a.Event], a)
	}
	for i := range c.state.Events {
		e := &c.state.Events[i]
		c.recorded[e.Event] = append(c.recorded[e.Event], e)
	}
	for i := range c.state.Letters {
		l := &c.state.Letters[i]
		id := [2]string{l.Event, l.Digest}
		c.letters[id] = append(c.letters[id], l)
	}
}

func (c *checker) violated(invariant, kind, format string, args ...any) {
	c.found = append(c.found, Violation{invariant, kind, fmt.Sprintf(format, args...)})
}

// checkWebhook is C1, C3 and C5 of one webhook.
func (c *checker) checkWebhook(w *Webhook) {
	rows := c.recorded[w.Event]
	accepted := slices.ContainsFunc(c.attempts[w.Event], (*Attempt).accepted)
	refused := !slices.ContainsFunc(c.attempts[w.Event], func(a *Attempt) bool { return !a.refused() })
	switch {
	case accepted && len(rows) == 0:
		c.violated(NoLoss, lost, "%s was answered 2xx and is not recorded", w.Event)
	case refused && len(rows) > 0 && len(c.attempts[w.Event]) > 0:
		c.violated(DefiniteFailure, other, "%s was answered 4xx only and is recorded", w.Event)
	}
	if w.Refused != 0 && accepted {
		c.violated(DefiniteFailure, other, "%s must be refused with %d and was answered 2xx", w.Event, w.Refused)
	}
	if len(rows) > 1 {
		c.violated(ExactlyOnce, doubled, "%s is recorded %d times", w.Event, len(rows))
	}
	for _, e := range rows {
		c.checkDisposition(e)
	}
}

// checkDisposition wants a final verdict, and for each dead letter the one row
// that an operator finds it by.
func (c *checker) checkDisposition(e *Event) {
	open := 0
	for _, l := range c.letters[[2]string{e.Event, e.Digest}] {
		if l.Resolution == "" && l.Reason == e.Reason {
			open++
		}
	}
	switch e.Verdict {
	case "applied", "stale":
		if open > 0 {
			c.violated(Convergence, diverged, "%s is %s and waits as a dead letter too", e.Event, e.Verdict)
		}
	case "dead_lettered":
		if open != 1 {
			c.violated(NoLoss, lost, "%s is dead-lettered as %s and waits as %d dead letters", e.Event, e.Reason, open)
		}
	default:
		c.violated(NoLoss, stuck, "%s has the verdict %q", e.Event, e.Verdict)
	}
}

// checkRecorded is C2: what is recorded was sent, and says what was sent. So are
// sums: no event is there twice, and each has its own amount.
func (c *checker) checkRecorded() {
	for i := range c.state.Events {
		e := &c.state.Events[i]
		w := c.sent[e.Event]
		switch {
		case w == nil || e.Provider != provider:
			c.violated(NoPhantom, other, "%s/%s is recorded and was never sent", e.Provider, e.Event)
		case len(c.attempts[e.Event]) == 0:
			c.violated(NoPhantom, other, "%s is recorded and was not sent yet", e.Event)
		case e.Digest != w.Digest() || e.Stored != e.Digest:
			c.violated(NoPhantom, other, "%s is recorded with another body than was sent", e.Event)
		case e.Says != w.Says:
			c.violated(NoPhantom, other, "%s is recorded as %+v, but says %+v", e.Event, e.Says, w.Says)
		}
	}
}

// checkLetters is C1 of records that are no updates, and C2 of dead letters.
func (c *checker) checkLetters() {
	written, waiting := make(map[string]bool), make(map[string]bool)
	for _, s := range c.Strays {
		written[s.Digest] = true
	}
	for i := range c.state.Letters {
		l := &c.state.Letters[i]
		if !written[l.Digest] && len(c.recorded[l.Event]) == 0 {
			c.violated(NoPhantom, other, "the dead letter %s/%s (%s) is of no recorded event", l.Provider, l.Event, l.Reason)
		}
		waiting[l.Digest] = waiting[l.Digest] || l.Resolution == ""
	}
	for _, s := range c.Strays {
		if s.Acked && !waiting[s.Digest] {
			c.violated(NoLoss, lost, "a record of %s that is no update did not become a dead letter", s.Topic)
		}
	}
}
