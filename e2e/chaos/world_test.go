package chaos

import (
	"time"
)

// world is a run as it should be: every webhook of some orders is sent once and
// answered, and the database holds what they amount to.
type world struct {
	*History
	State State
}

func newWorld(orders int) *world {
	w := &world{History: &History{Cell: Cell{Mode: HTTP, Store: SQLite, Processes: 1}, Seed: 7, Orders: orders, Limits: Strict, CaughtUp: time.Second}}
	for number := range orders {
		var taken []*Webhook
		for _, d := range (Generator{w.Seed}).Order(number) {
			w.send(d.Webhook)
			if d.Webhook.Refused == 0 {
				taken = append(taken, d.Webhook)
			}
		}
		w.record(orderID(number), taken)
	}
	// A record that the broker has, and one of which nobody knows.
	w.Strays = []Stray{{"stray", "topic", true}, {"unknown", "topic", false}}
	w.State.Letters = append(w.State.Letters, DeadLetter{Provider: "topic/0", Event: "17", Digest: "stray", Reason: "undecodable"})
	return w
}

// send makes one attempt, which is answered as it should be.
func (w *world) send(webhook *Webhook) {
	status := 200
	if webhook.Refused != 0 {
		status = webhook.Refused
	}
	at := int64(len(w.Attempts)) * 1000
	w.Webhooks = append(w.Webhooks, webhook)
	w.Attempts = append(w.Attempts, Attempt{Event: webhook.Event, To: "ingest-1", From: at, Done: at + 500, Status: status})
}

func (w *world) record(order string, webhooks []*Webhook) {
	outlook := Fold(order, webhooks)
	w.State.Orders = append(w.State.Orders, StoredOrder{outlook.Order, int64(len(webhooks))})
	for _, d := range outlook.Disputes {
		w.State.Disputes = append(w.State.Disputes, d)
	}
	for _, webhook := range webhooks {
		e := Event{Provider: provider, Event: webhook.Event, Says: webhook.Says, Digest: webhook.Digest(), Stored: webhook.Digest(), Verdict: "applied"}
		if reason := outlook.Refused[webhook.Event]; reason != "" {
			e.Verdict, e.Reason = "dead_lettered", reason
			w.State.Letters = append(w.State.Letters, DeadLetter{Provider: provider, Event: e.Event, Digest: e.Digest, Reason: reason})
		}
		w.State.Events = append(w.State.Events, e)
	}
}

// leak is a run of three faults, in the second of which something leaks: the third
// one ends it, so nobody sees it in the end.
func (w *world) leak(leaked Vitals) {
	w.Baseline = []Vitals{{"ingest-1", 200, 6 << 20}, {"api-1", 50, 4 << 20}}
	w.Fresh, w.Used = []Vitals{{"api-1", 30, 1 << 20}}, []Vitals{{"api-1", 30, 1 << 20}}
	for _, after := range []Vitals{{"api-1", 50, 4 << 20}, leaked, {"api-1", 45, 3 << 20}} {
		w.Faults = append(w.Faults, Fault{Kind: kill, Target: "ingest-1", Vitals: []Vitals{{"ingest-1", 210, 6 << 20}, after}})
	}
}

// attempts are those of a webhook.
func (w *world) attemptsOf(event string) []*Attempt {
	var all []*Attempt
	for i := range w.History.Attempts {
		if a := &w.History.Attempts[i]; a.Event == event {
			all = append(all, a)
		}
	}
	return all
}

// forget takes the rows of an event out of the database.
func (w *world) forget(event string) {
	var left []Event
	for _, e := range w.State.Events {
		if e.Event != event {
			left = append(left, e)
		}
	}
	w.State.Events = left
}

// find is the first webhook that is as wanted.
func (w *world) find(wanted func(*Webhook) bool) *Webhook {
	for _, webhook := range w.Webhooks {
		if wanted(webhook) {
			return webhook
		}
	}
	panic("the generator makes no such webhook")
}

func good(w *Webhook) bool       { return w.Refused == 0 && w.Says.Status != "" }
func refusable(w *Webhook) bool  { return w.Refused != 0 }
func disputable(w *Webhook) bool { return w.Says.Dispute != "" && w.Refused == 0 }
