package chaos

import (
	"net/http"
	"time"
)

// checkLiveness is C6.
func (c *checker) checkLiveness() {
	for _, complaint := range c.Complaints {
		c.violated(Liveness, other, "%s", complaint)
	}
	if c.CaughtUp < 0 || c.CaughtUp > caughtUpWithin {
		c.violated(Liveness, stuck, "what was answered 2xx was not all applied within %s", caughtUpWithin)
	}
	for _, f := range c.Faults {
		if took := micros(f.Ready-f.Over) - c.stalledBetween(f.Over, f.Ready); took > c.Limits.Ready {
			c.violated(Liveness, other, "%s after %s of %s was healed not everything was ready", took, f.Kind, f.Target)
		}
	}
	c.checkVitals()
}

// checkAnswers is C7.
func (c *checker) checkAnswers() {
	for i := range c.Attempts {
		a := &c.Attempts[i]
		took := time.Duration(a.Done-a.From) * time.Microsecond
		if took > c.Limits.Answer && took > c.Limits.Answer+c.heldUp(a) {
			c.violated(BoundedAnswers, other, "%s was answered %d %s after %s by %s", a.Event, a.Status, a.Failure, took, a.To)
		}
		if w := c.sent[a.Event]; !documented(a, w) {
			c.violated(BoundedAnswers, other, "%s was answered %d", a.Event, a.Status)
		}
		if a.Fault != "" {
			c.violated(BoundedAnswers, other, "the answer %d to %s %s", a.Status, a.Event, a.Fault)
		}
	}
}

// documented says whether the answer is one of those that the README has.
func documented(a *Attempt, w *Webhook) bool {
	switch a.Status {
	case 0, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusOK, http.StatusAccepted:
		return w == nil || w.Refused == 0
	default:
		return w != nil && w.Refused == a.Status
	}
}

// heldUp is for how long of an attempt nobody could have answered, or told the
// time: the edge was frozen, the provider's own link to it was disturbed, or the
// tester was stalled.
func (h *History) heldUp(a *Attempt) time.Duration {
	held := h.stalledBetween(a.From, a.Done)
	for _, f := range h.Faults {
		if f.holdsUp(a.To) {
			held += micros(overlap(a.From, a.Done, f.From, f.Healed))
		}
	}
	return held
}

// holdsUp says whether the fault keeps an edge from answering at all.
func (f *Fault) holdsUp(edge string) bool {
	return f.Kind == freeze && f.Target == edge || f.Target == linkName("provider", edge)
}
