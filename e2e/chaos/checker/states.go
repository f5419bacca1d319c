package checker

import "github.com/payrelay/payrelay/e2e/chaos/history"

// checkStates checks C4, and C3 for versions: an order's version counts the
// commits that changed it, so it cannot exceed the number of its events.
func (c *checker) checkStates() {
	recorded := make(map[string][]*history.Webhook) // by order
	for _, w := range c.Webhooks {
		if len(c.recorded[w.Event]) > 0 {
			recorded[w.Facts.Order] = append(recorded[w.Facts.Order], w)
		}
	}
	orders, disputes := make(map[string]history.StoredOrder), make(map[string]history.Dispute)
	for _, o := range c.state.Orders {
		orders[o.ID] = o
	}
	for _, d := range c.state.Disputes {
		disputes[d.ID] = d
	}
	for id, webhooks := range recorded {
		model := Fold(id, webhooks)
		c.checkOrder(model, orders[id], len(webhooks), disputes)
		c.checkReasons(model.DeadLettered, webhooks)
		delete(orders, id)
	}
	for id := range orders {
		c.violated(Convergence, diverged, "order %s is stored without any event", id)
	}
	for id := range disputes {
		c.violated(Convergence, diverged, "dispute %s is stored without any event", id)
	}
}

// checkOrder compares an order and its disputes with the model, and deletes the
// disputes from the map.
func (c *checker) checkOrder(want Model, got history.StoredOrder, events int, disputes map[string]history.Dispute) {
	id := want.Order.ID
	if got.Order != want.Order {
		c.violated(Convergence, diverged, "order %s is %+v, want %+v by its events", id, got.Order, want.Order)
	}
	if got.Version > int64(events) {
		c.violated(ExactlyOnce, doubled, "order %s was changed %d times by %d events", id, got.Version, events)
	}
	for dispute, state := range want.Disputes {
		if disputes[dispute] != state {
			c.violated(Convergence, diverged, "dispute %s is %+v, want %+v by its events", dispute, disputes[dispute], state)
		}
		delete(disputes, dispute)
	}
}

// checkReasons requires exactly those events of an order to be dead letters that
// are ones in the model.
func (c *checker) checkReasons(want map[string]string, webhooks []*history.Webhook) {
	for _, w := range webhooks {
		for _, e := range c.recorded[w.Event] {
			if e.Reason != want[w.Event] {
				c.violated(Convergence, diverged, "%s is %s with the reason %q, want the reason %q by the history of its order", w.Event, e.Verdict, e.Reason, want[w.Event])
			}
		}
	}
}
