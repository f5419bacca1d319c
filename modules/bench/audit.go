package bench

import (
	"fmt"

	"github.com/payrelay/payrelay/modules/bench/load"
)

// stored is what the public API returns about some orders.
type stored struct {
	events           []eventItem
	orders, disputes []stateItem
}

// audit returns the differences between what was sent and what is stored about
// orders. Every accepted webhook must be stored once, unchanged. A webhook that was
// not accepted may be stored, because its answer may have been lost. The state must
// be that of the newest stored event.
func audit(orders []load.Order, stored stored) (problems []string) {
	sent := make(map[string]load.Sent)
	for _, o := range orders {
		for _, w := range o.Webhooks {
			sent[w.EventID] = w
		}
	}
	recorded := make(map[string]bool, len(stored.events))
	for _, e := range stored.events {
		switch w, known := sent[e.EventID]; {
		case !known:
			problems = append(problems, fmt.Sprintf("event %s of order %s was never sent", e.EventID, e.OrderID))
		case recorded[e.EventID]:
			problems = append(problems, fmt.Sprintf("event %s is stored twice", e.EventID))
		case e.OrderID != w.OrderID || e.Kind != w.Kind || e.BodySHA256 != w.Digest():
			problems = append(problems, fmt.Sprintf("event %s is not what was sent: it is %s of order %s", e.EventID, e.Kind, e.OrderID))
		case e.Verdict != "applied" && e.Verdict != "stale":
			problems = append(problems, fmt.Sprintf("event %s is %s %s", e.EventID, e.Verdict, e.Reason))
		}
		recorded[e.EventID] = true
	}
	found, disputes := statuses(stored.orders), statuses(stored.disputes)
	for _, o := range orders {
		want, wantDispute := "", ""
		for _, w := range o.Webhooks { // in the order of their times
			switch {
			case !recorded[w.EventID]:
				if w.Accepted {
					problems = append(problems, fmt.Sprintf("event %s was accepted and is lost", w.EventID))
				}
			case w.Dispute:
				wantDispute = w.Kind
			default:
				want = w.Kind
			}
		}
		if found[o.ID] != want {
			problems = append(problems, fmt.Sprintf("order %s is %q, want %q", o.ID, found[o.ID], want))
		}
		if disputes[o.ID] != wantDispute {
			problems = append(problems, fmt.Sprintf("dispute %s is %q, want %q", o.ID, disputes[o.ID], wantDispute))
		}
	}
	return problems
}

// statuses returns the statuses by order ID. An order of the load has at most one
// dispute.
func statuses(items []stateItem) map[string]string {
	found := make(map[string]string, len(items))
	for _, item := range items {
		found[item.OrderID] = item.Status
	}
	return found
}
