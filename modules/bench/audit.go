package bench

import (
	"fmt"

	"github.com/payrelay/payrelay/modules/bench/load"
)

// stored is what the public API says about some orders.
type stored struct {
	events           []eventItem
	orders, disputes []stateItem
}

// audit says what is wrong with what is stored about orders. Every webhook that
// was accepted must be there once, as it was sent. One that was not accepted may
// be there: its answer can have been lost. The state must be that of the newest
// event that is there.
func audit(orders []load.Order, stored stored) (wrong []string) {
	sent := make(map[string]load.Sent)
	for _, o := range orders {
		for _, w := range o.Webhooks {
			sent[w.EventID] = w
		}
	}
	recorded := make(map[string]bool, len(stored.events))
	for _, e := range stored.events {
		if complaint := auditEvent(e, sent, recorded); complaint != "" {
			wrong = append(wrong, complaint)
		}
		recorded[e.EventID] = true
	}
	for _, o := range orders {
		for _, w := range o.Webhooks {
			if w.Accepted && !recorded[w.EventID] {
				wrong = append(wrong, fmt.Sprintf("event %s was accepted and is lost", w.EventID))
			}
		}
	}
	return append(wrong, auditStates(orders, recorded, stored)...)
}

func auditEvent(e eventItem, sent map[string]load.Sent, recorded map[string]bool) string {
	w, known := sent[e.EventID]
	switch {
	case !known:
		return fmt.Sprintf("event %s of order %s was never sent", e.EventID, e.OrderID)
	case recorded[e.EventID]:
		return fmt.Sprintf("event %s is there twice", e.EventID)
	case e.OrderID != w.OrderID || e.Kind != w.Kind || e.BodySHA256 != w.Digest():
		return fmt.Sprintf("event %s is not what was sent: it is %s of order %s", e.EventID, e.Kind, e.OrderID)
	case e.Verdict != "applied" && e.Verdict != "stale":
		return fmt.Sprintf("event %s is %s %s", e.EventID, e.Verdict, e.Reason)
	default:
		return ""
	}
}

// auditStates compares the state of each order and dispute with its newest event.
func auditStates(orders []load.Order, recorded map[string]bool, stored stored) (wrong []string) {
	found, disputes := statuses(stored.orders), statuses(stored.disputes)
	for _, o := range orders {
		want, wantDispute := "", ""
		for _, w := range o.Webhooks { // in the sequence of their times
			switch {
			case !recorded[w.EventID]:
			case w.Dispute:
				wantDispute = w.Kind
			default:
				want = w.Kind
			}
		}
		if found[o.ID] != want {
			wrong = append(wrong, fmt.Sprintf("order %s is %q, want %q", o.ID, found[o.ID], want))
		}
		if disputes[o.ID] != wantDispute {
			wrong = append(wrong, fmt.Sprintf("dispute %s is %q, want %q", o.ID, disputes[o.ID], wantDispute))
		}
	}
	return wrong
}

// statuses are by order: each of the provider's orders has one dispute at most.
func statuses(items []stateItem) map[string]string {
	found := make(map[string]string, len(items))
	for _, item := range items {
		found[item.OrderID] = item.Status
	}
	return found
}
