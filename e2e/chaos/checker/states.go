package checker

import "github.com/payrelay/payrelay/e2e/chaos/history"

// checkStates checks C4, and C3 for versions: the version of an order or a dispute
// counts the commits that changed it, so it cannot exceed the number of its events
// and of the decisions about them.
func (c *checker) checkStates() {
	var facts []Fact
	changes := make(map[subject]int64)
	add := func(key history.Key, w *history.Webhook) {
		if len(c.recorded[key]) == 0 {
			return
		}
		changes[about(w)]++
		if c.forced[key] || c.discarded[key] != "" {
			changes[about(w)]++
		}
		if c.discarded[key] == "" {
			facts = append(facts, Fact{w, c.forced[key]})
		}
	}
	for key, w := range c.first {
		add(key, w)
	}
	for key, w := range c.conflicts {
		add(key, w)
	}
	model := Fold(facts)
	c.checkOrders(model, changes)
	c.checkDisputes(model, changes)
	c.checkReasons(model, facts)
}

// subject is an order or a dispute.
type subject struct{ kind, id string }

func about(w *history.Webhook) subject {
	if w.Facts.Dispute != "" {
		return subject{"dispute", w.Facts.Dispute}
	}
	return subject{"order", w.Facts.Order}
}

func (c *checker) checkOrders(model Model, changes map[subject]int64) {
	stored := make(map[string]history.StoredOrder)
	for _, o := range c.state.Orders {
		stored[o.ID] = o
	}
	for id, want := range model.Orders {
		got := stored[id]
		if got.Order != want {
			c.violated(Convergence, diverged, "order %s is %+v, want %+v by its events", id, got.Order, want)
		}
		if n := changes[subject{"order", id}]; got.Version > n {
			c.violated(ExactlyOnce, doubled, "order %s was changed %d times by %d events and decisions", id, got.Version, n)
		}
		delete(stored, id)
	}
	for id, o := range stored {
		// A row without a status only lends its number to events.
		if o.Status != "" {
			c.violated(Convergence, diverged, "order %s is stored without any event", id)
		}
	}
}

func (c *checker) checkDisputes(model Model, changes map[subject]int64) {
	stored := make(map[string]history.StoredDispute)
	for _, d := range c.state.Disputes {
		stored[d.ID] = d
	}
	for id, want := range model.Disputes {
		got := stored[id]
		if got.Dispute != want {
			c.violated(Convergence, diverged, "dispute %s is %+v, want %+v by its events", id, got.Dispute, want)
		}
		if n := changes[subject{"dispute", id}]; got.Version > n {
			c.violated(ExactlyOnce, doubled, "dispute %s was changed %d times by %d events and decisions", id, got.Version, n)
		}
		delete(stored, id)
	}
	for id := range stored {
		c.violated(Convergence, diverged, "dispute %s is stored without any event", id)
	}
}

// checkReasons requires exactly those events to be dead letters that are ones in the
// model.
func (c *checker) checkReasons(model Model, facts []Fact) {
	for _, f := range facts {
		want := model.DeadLettered[f.Key()]
		for _, e := range c.recorded[f.Key()] {
			if e.Reason != want {
				c.violated(Convergence, diverged, "%s is %s with the reason %q, want the reason %q by its history", f.Key(), e.Verdict, e.Reason, want)
			}
		}
	}
}
