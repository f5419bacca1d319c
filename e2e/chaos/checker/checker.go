// Package checker judges a run: it compares what was sent and answered with what
// the database holds, checks the invariants C1 to C7 and C10 to C13, and sums the run up in
// a report and in tables. It has its own model of what the database should hold, and
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
	NoForgery       = "C10 no forgery"
	Audited         = "C11 audited"
	Derived         = "C12 derived"
	Listed          = "C13 listed"
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

// checker has a history and the final state, indexed by the key of the event.
type checker struct {
	*history.History
	state *history.State

	sent     map[string]*history.Webhook        // by ID
	first    map[history.Key]*history.Webhook   // the one that is sent first
	repeats  map[history.Key][]*history.Webhook // those that are sent later under the same key
	attempts map[string][]*history.Attempt      // by the ID of the webhook
	recorded map[history.Key][]*history.Event
	letters  map[history.Key][]*history.DeadLetter
	// decided are the decisions of an operator by the ID of the dead letter. forced are
	// the events that were accepted, conflicts those of them that became events by that,
	// under a key of their own, and discarded those that left the history, by reason.
	decided   map[int64]history.Decision
	forced    map[history.Key]bool
	conflicts map[history.Key]*history.Webhook
	discarded map[history.Key]string
	found     []Violation
}

// Check returns the violations of the invariants C1 to C7 and C10 to C13. C8 is only reported,
// and C9 compares several runs: see [CheckParity].
func Check(h *history.History, s *history.State) []Violation {
	c := &checker{History: h, state: s,
		sent: make(map[string]*history.Webhook), first: make(map[history.Key]*history.Webhook),
		repeats: make(map[history.Key][]*history.Webhook), attempts: make(map[string][]*history.Attempt),
		recorded: make(map[history.Key][]*history.Event), letters: make(map[history.Key][]*history.DeadLetter),
		decided: make(map[int64]history.Decision), forced: make(map[history.Key]bool),
		conflicts: make(map[history.Key]*history.Webhook), discarded: make(map[history.Key]string)}
	for _, w := range h.Webhooks {
		c.sent[w.ID] = w
		if w.Repeats {
			c.repeats[w.Key()] = append(c.repeats[w.Key()], w)
		} else {
			c.first[w.Key()] = w
		}
	}
	for i := range h.Attempts {
		a := &h.Attempts[i]
		c.attempts[a.Webhook] = append(c.attempts[a.Webhook], a)
	}
	for i := range s.Events {
		e := &s.Events[i]
		c.recorded[e.Key()] = append(c.recorded[e.Key()], e)
	}
	for i := range s.DeadLetters {
		l := &s.DeadLetters[i]
		c.letters[l.Key()] = append(c.letters[l.Key()], l)
	}
	c.checkDecisions()
	for _, w := range h.Webhooks {
		switch {
		case w.Forged():
			c.checkForged(w)
		case w.Repeats:
			c.checkRepeat(w)
		default:
			c.checkWebhook(w)
		}
	}
	c.checkEvents()
	c.checkDeadLetters()
	c.checkStates()
	c.checkLiveness()
	c.checkAnswers()
	c.checkAudit()
	c.checkRederived()
	c.checkListings()
	return c.found
}

func (c *checker) violated(invariant, kind, format string, args ...any) {
	c.found = append(c.found, Violation{invariant, kind, fmt.Sprintf(format, args...)})
}

// accepted returns the number of attempts that were answered 2xx.
func (c *checker) accepted(w *history.Webhook) (n int64) {
	for _, a := range c.attempts[w.ID] {
		if a.Accepted() {
			n++
		}
	}
	return n
}

// checkWebhook checks C1, C3 and C5 for one webhook.
func (c *checker) checkWebhook(w *history.Webhook) {
	rows, attempts := c.recorded[w.Key()], c.attempts[w.ID]
	accepted := c.accepted(w) > 0
	onlyRefused := !slices.ContainsFunc(attempts, func(a *history.Attempt) bool { return !a.Refused() })
	switch {
	case accepted && len(rows) == 0:
		c.violated(NoLoss, lost, "%s was answered 2xx and is not recorded", w.ID)
	case onlyRefused && len(rows) > 0 && len(attempts) > 0:
		c.violated(DefiniteFailure, other, "%s was answered only 4xx and is recorded", w.ID)
	}
	if !w.Valid() && accepted {
		c.violated(DefiniteFailure, other, "%s must be refused with %d and was answered 2xx", w.ID, w.Refusal)
	}
	if len(rows) > 1 {
		c.violated(ExactlyOnce, doubled, "%s is recorded %d times", w.ID, len(rows))
	}
	for _, e := range rows {
		c.checkVerdict(e)
	}
}

// checkForged checks C10: a forged webhook takes no effect, and is not answered 2xx.
// Whether it is answered 401, or 429 if there are too many, is checked with the answers.
func (c *checker) checkForged(w *history.Webhook) {
	if c.accepted(w) > 0 {
		c.violated(NoForgery, other, "%s (%s) was answered 2xx", w.ID, w.Signature)
	}
	isItsBody := func(l history.DeadLetter) bool { return l.Event == "sha256:"+w.Digest() }
	if len(c.recorded[w.Key()]) > 0 || len(c.letters[w.Key()]) > 0 || slices.ContainsFunc(c.state.DeadLetters, isItsBody) {
		c.violated(NoForgery, other, "%s (%s) is in the database", w.ID, w.Signature)
	}
}

// checkRepeat checks C1 for a webhook that came under a key that was in use: a
// conflict is one dead letter for all its deliveries. That a duplicate makes none is
// checked with the dead letters.
func (c *checker) checkRepeat(w *history.Webhook) {
	if c.isDuplicate(w) || c.accepted(w) == 0 {
		return
	}
	var letters []*history.DeadLetter
	for _, l := range c.letters[w.Key()] {
		if l.Reason == "conflict" {
			letters = append(letters, l)
		}
	}
	switch {
	case len(letters) != 1:
		c.violated(NoLoss, lost, "%s is in conflict with what was recorded and has %d dead letters", w.ID, len(letters))
	case letters[0].Deliveries < c.accepted(w):
		c.violated(NoLoss, lost, "the dead letter of %s counts %d deliveries of %d", w.ID, letters[0].Deliveries, c.accepted(w))
	}
}

// isDuplicate reports whether a webhook says the same as the first one with its key.
func (c *checker) isDuplicate(w *history.Webhook) bool {
	first := c.first[w.Key()]
	return first != nil && first.Facts.Same(w.Facts)
}

// checkVerdict requires a final verdict, and exactly one dead letter for an event that
// is dead-lettered: an open one, unless an operator discarded it.
func (c *checker) checkVerdict(e *history.Event) {
	reason, isDiscarded := c.discarded[e.Key()]
	open, discarded := 0, 0
	for _, l := range c.letters[e.Key()] {
		switch {
		case l.Digest != e.FactsDigest:
		case l.Resolution == "" && e.Reason == "":
			c.violated(Convergence, diverged, "%s is %s and also an open dead letter", e.Key(), e.Verdict)
		case l.Resolution == "" && l.Reason == e.Reason:
			open++
		case l.Resolution == history.Discarded && l.Reason == e.Reason:
			discarded++
		}
	}
	switch {
	case isDiscarded && (e.Verdict != "dead_lettered" || e.Reason != reason || open > 0 || discarded != 1):
		c.violated(NoLoss, lost, "%s was discarded and is %s with the reason %q, %d open and %d discarded dead letters, want the reason %s", e.Key(), e.Verdict, e.Reason, open, discarded, reason)
	case isDiscarded, e.Verdict == "applied", e.Verdict == "stale":
	case e.Verdict != "dead_lettered":
		c.violated(NoLoss, stuck, "%s has the verdict %q", e.Key(), e.Verdict)
	case open != 1:
		c.violated(NoLoss, lost, "%s is dead-lettered as %s and has %d open dead letters", e.Key(), e.Reason, open)
	}
}

// checkDecisions checks C1 for the dead letters that an operator decided. The event of
// an accepted one is in the history by force; a conflict becomes an event of its own.
// The event of a discarded one has left the history.
func (c *checker) checkDecisions() {
	for _, d := range c.Decisions {
		c.decided[d.Letter.ID] = d
		key, isConflict := d.Letter.Key(), d.Letter.Reason == "conflict"
		if d.Resolution == history.Discarded {
			if !isConflict {
				c.discarded[key] = d.Letter.Reason
			}
			continue
		}
		if isConflict {
			for _, w := range c.repeats[key] {
				if !c.isDuplicate(w) {
					key.Event += "#" + d.Letter.Digest[:min(len(d.Letter.Digest), 16)]
					accepted := *w
					accepted.Event = key.Event
					c.conflicts[key] = &accepted
					break
				}
			}
		}
		c.forced[key] = true
		rows := c.recorded[key]
		if len(rows) != 1 || !rows[0].Forced || rows[0].Reason != "" {
			c.violated(NoLoss, lost, "%s was accepted by an operator and is not in the history by force", key)
		}
		if isConflict {
			for _, e := range rows {
				c.checkVerdict(e)
			}
		}
	}
}

// checkResolution checks C1 for a dead letter: an operator has decided it, or it waits
// for one, or what arrived later has settled it.
func (c *checker) checkResolution(l *history.DeadLetter) {
	d, decided := c.decided[l.ID]
	switch {
	case decided && (l.Resolution != d.Resolution || l.By != d.By || l.Why != d.Why):
		c.violated(NoLoss, lost, "the dead letter of %s was %s and is %q by %q because %q", l.Key(), d.Resolution, l.Resolution, l.By, l.Why)
	case decided, l.Resolution == "", l.Resolution == "reapplied" && l.Reason != "conflict":
	default:
		c.violated(NoLoss, lost, "the dead letter of %s (%s) is %s, and no operator decided that", l.Key(), l.Reason, l.Resolution)
	}
}

// sentAs returns the webhook that an event must be the record of.
func (c *checker) sentAs(e *history.Event) *history.Webhook {
	if w := c.conflicts[e.Key()]; w != nil {
		return w
	}
	return c.first[e.Key()]
}

// checkEvents checks C2 for events: each was sent before, and is recorded as it
// was sent. Sums need no check of their own, because no event is recorded twice
// and each has its own amount.
func (c *checker) checkEvents() {
	for i := range c.state.Events {
		e := &c.state.Events[i]
		w := c.sentAs(e)
		switch {
		case w == nil || e.Provider != w.Source:
			c.violated(NoPhantom, other, "%s of %s is recorded and was never sent", e.Key(), e.Provider)
		case len(c.attempts[w.ID]) == 0:
			c.violated(NoPhantom, other, "%s is recorded and has not been sent yet", e.Key())
		case e.Digest != w.Digest() || e.BodyDigest != e.Digest:
			c.violated(NoPhantom, other, "%s is recorded with another body than was sent", e.Key())
		case e.Facts != w.Facts:
			c.violated(NoPhantom, other, "%s is recorded as %+v, want %+v", e.Key(), e.Facts, w.Facts)
		case e.Forced != c.forced[e.Key()]:
			c.violated(NoPhantom, other, "%s is forced: %t, want %t", e.Key(), e.Forced, c.forced[e.Key()])
		case e.InHistory != (c.discarded[e.Key()] == "" && w.Facts.Status != ""):
			c.violated(NoPhantom, other, "%s is in the history: %t, want %t", e.Key(), e.InHistory, !e.InHistory)
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
		switch {
		case written[l.Digest]:
		case len(c.recorded[l.Key()]) == 0:
			c.violated(NoPhantom, other, "the dead letter of %s (%s) belongs to no recorded event", l.Key(), l.Reason)
		case l.Reason == "conflict" && !slices.ContainsFunc(c.repeats[l.Key()], func(w *history.Webhook) bool { return !c.isDuplicate(w) }):
			c.violated(NoPhantom, other, "%s is a dead letter in conflict, and was always sent with the same facts", l.Key())
		}
		open[l.Digest] = open[l.Digest] || l.Resolution == ""
		c.checkResolution(l)
	}
	for _, p := range c.Poison {
		if p.Acked && !open[p.Digest] {
			c.violated(NoLoss, lost, "a poison record on %s did not become a dead letter", p.Topic)
		}
	}
}
