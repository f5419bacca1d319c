package checker

import (
	"net/http"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// checkLiveness checks C6.
func (c *checker) checkLiveness() {
	for _, complaint := range c.Complaints {
		c.violated(Liveness, other, "%s", complaint)
	}
	if c.CaughtUp < 0 || c.CaughtUp > c.Limits.CaughtUp {
		c.violated(Liveness, stuck, "not everything that was answered 2xx was applied within %s", c.Limits.CaughtUp)
	}
	for _, f := range c.Faults {
		if took := history.Micros(f.Ready-f.Over) - c.StalledBetween(f.Over, f.Ready); took > c.Limits.Ready {
			c.violated(Liveness, other, "it took %s after %s of %s was healed until everything was ready", took, f.Kind, f.Target)
		}
	}
	c.checkUsage()
}

// checkUsage checks the goroutines and the heap: under load after each fault, and
// idle after the run.
func (c *checker) checkUsage() {
	for _, f := range c.Faults {
		for _, g := range history.Compare(c.Baseline, f.Usage) {
			if excess := g.Excess("before the first fault"); excess != "" {
				c.violated(Liveness, other, "%s after %s of %s was healed and everything was ready, %s",
					history.Micros(f.Measured-f.Ready), f.Kind, f.Target, excess)
			}
		}
	}
	for _, g := range history.Compare(c.Fresh, c.Used) {
		if excess := g.Excess("when it was new"); excess != "" {
			c.violated(Liveness, other, "idle after the run, %s", excess)
		}
	}
}

// checkAnswers checks C7.
func (c *checker) checkAnswers() {
	for i := range c.Attempts {
		a := &c.Attempts[i]
		took := history.Micros(a.Done - a.From)
		if took > c.Limits.Answer && took > c.Limits.Answer+c.HeldUp(a) {
			c.violated(BoundedAnswers, other, "%s answered %s with %s after %s", a.To, a.Webhook, a.Outcome(), took)
		}
		if !documented(a, c.sent[a.Webhook]) {
			c.violated(BoundedAnswers, other, "%s was answered %d", a.Webhook, a.Status)
		}
		if a.Defect != "" {
			c.violated(BoundedAnswers, other, "the answer %d to %s %s", a.Status, a.Webhook, a.Defect)
		}
	}
}

// documented reports whether the documentation allows such an answer.
func documented(a *history.Attempt, w *history.Webhook) bool {
	switch a.Status {
	case 0, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusOK, http.StatusAccepted:
		return w == nil || w.Valid()
	default:
		return w != nil && w.Refusal == a.Status
	}
}
