package chaos

// checkStates is C4, and what C3 says of versions: an order's counts the commits
// that changed it, so there cannot be more of them than events.
func (c *checker) checkStates() {
	told := make(map[string][]*Webhook)
	for _, w := range c.Webhooks {
		if len(c.recorded[w.Event]) > 0 {
			told[w.Says.Order] = append(told[w.Says.Order], w)
		}
	}
	orders, disputes := make(map[string]StoredOrder), make(map[string]Dispute)
	for _, o := range c.state.Orders {
		orders[o.ID] = o
	}
	for _, d := range c.state.Disputes {
		disputes[d.ID] = d
	}
	for id, webhooks := range told {
		outlook := Fold(id, webhooks)
		c.checkOrder(outlook, orders[id], len(webhooks), disputes)
		c.checkRefused(outlook.Refused, webhooks)
		delete(orders, id)
	}
	for id := range orders {
		c.violated(Convergence, diverged, "order %s is stored without any event", id)
	}
	for id := range disputes {
		c.violated(Convergence, diverged, "dispute %s is stored without any event", id)
	}
}

// checkOrder compares one order and takes its disputes out of those that are left.
func (c *checker) checkOrder(want Outlook, got StoredOrder, events int, disputes map[string]Dispute) {
	id := want.Order.ID
	if got.Order != want.Order {
		c.violated(Convergence, diverged, "order %s is %+v, but its events amount to %+v", id, got.Order, want.Order)
	}
	if got.Version > int64(events) {
		c.violated(ExactlyOnce, doubled, "order %s was changed %d times by %d events", id, got.Version, events)
	}
	for dispute, state := range want.Disputes {
		if disputes[dispute] != state {
			c.violated(Convergence, diverged, "dispute %s is %+v, but its events amount to %+v", dispute, disputes[dispute], state)
		}
		delete(disputes, dispute)
	}
}

// checkRefused wants those events of an order to be dead letters that contradict
// its history, and no others.
func (c *checker) checkRefused(want map[string]string, webhooks []*Webhook) {
	for _, w := range webhooks {
		for _, e := range c.recorded[w.Event] {
			if e.Reason != want[w.Event] {
				c.violated(Convergence, diverged, "%s is %s %s, but by its order's history the reason is %q", w.Event, e.Verdict, e.Reason, want[w.Event])
			}
		}
	}
}
