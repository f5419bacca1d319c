package checker

import (
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/chaos/workload"
	"github.com/payrelay/payrelay/modules/payments"
)

// testRun is a run without a violation: each webhook of some orders was sent once
// and answered, and the database holds what it should.
type testRun struct {
	*history.History
	State history.State
}

func newTestRun(orders int) *testRun {
	r := &testRun{History: &history.History{Cell: history.Cell{Mode: payments.HTTP, Store: history.SQLite, Processes: 1},
		Seed: 7, Orders: orders, Limits: history.Strict, CaughtUp: time.Second}}
	for number := range orders {
		var valid []*history.Webhook
		for _, d := range (workload.Generator{Seed: r.Seed}).Order(number) {
			r.send(d.Webhook)
			if d.Webhook.Valid() {
				valid = append(valid, d.Webhook)
			}
		}
		r.store(history.OrderID(number), valid)
	}
	r.Poison = []history.PoisonRecord{{Digest: "acked", Topic: "topic", Acked: true}, {Digest: "unknown", Topic: "topic"}}
	r.State.DeadLetters = append(r.State.DeadLetters, history.DeadLetter{Provider: "topic/0", Event: "17", Digest: "acked", Reason: "undecodable"})
	return r
}

// send adds an attempt with the answer that the webhook should get.
func (r *testRun) send(w *history.Webhook) {
	status := 200
	if !w.Valid() {
		status = w.Refusal
	}
	at := int64(len(r.Attempts)) * 1000
	r.Webhooks = append(r.Webhooks, w)
	r.Attempts = append(r.Attempts, history.Attempt{Event: w.Event, To: "ingest-1", From: at, Done: at + 500, Status: status})
}

// store adds the rows that the webhooks of an order should make.
func (r *testRun) store(order string, webhooks []*history.Webhook) {
	model := Fold(order, webhooks)
	r.State.Orders = append(r.State.Orders, history.StoredOrder{Order: model.Order, Version: int64(len(webhooks))})
	for _, d := range model.Disputes {
		r.State.Disputes = append(r.State.Disputes, d)
	}
	for _, w := range webhooks {
		e := eventOf(w, "applied")
		if reason := model.DeadLettered[w.Event]; reason != "" {
			e.Verdict, e.Reason = "dead_lettered", reason
			r.State.DeadLetters = append(r.State.DeadLetters, history.DeadLetter{Provider: history.Provider, Event: e.Event, Digest: e.Digest, Reason: reason})
		}
		r.State.Events = append(r.State.Events, e)
	}
}

func eventOf(w *history.Webhook, verdict string) history.Event {
	return history.Event{Provider: history.Provider, Event: w.Event, Facts: w.Facts, Digest: w.Digest(), BodyDigest: w.Digest(), Verdict: verdict}
}

func usage(process string, goroutines int, heap int64) history.Usage {
	return history.Usage{Process: process, Goroutines: goroutines, Heap: heap}
}

// leak adds three faults, after the second of which a process used too much. The
// third fault ended the leak, so that it is not seen at the end.
func (r *testRun) leak(leaked history.Usage) {
	r.Baseline = []history.Usage{usage("ingest-1", 200, 6<<20), usage("api-1", 50, 4<<20)}
	r.Fresh, r.Used = []history.Usage{usage("api-1", 30, 1<<20)}, []history.Usage{usage("api-1", 30, 1<<20)}
	for _, after := range []history.Usage{usage("api-1", 50, 4<<20), leaked, usage("api-1", 45, 3<<20)} {
		r.Faults = append(r.Faults, history.Fault{Kind: history.Kill, Target: "ingest-1", Usage: []history.Usage{usage("ingest-1", 210, 6<<20), after}})
	}
}

// attempts returns the attempts at a webhook.
func (r *testRun) attempts(event string) []*history.Attempt {
	var all []*history.Attempt
	for i := range r.History.Attempts {
		if a := &r.History.Attempts[i]; a.Event == event {
			all = append(all, a)
		}
	}
	return all
}

// remove deletes the rows of an event from the database.
func (r *testRun) remove(event string) {
	var left []history.Event
	for _, e := range r.State.Events {
		if e.Event != event {
			left = append(left, e)
		}
	}
	r.State.Events = left
}

// find returns the first webhook that matches.
func (r *testRun) find(match func(*history.Webhook) bool) *history.Webhook {
	for _, w := range r.Webhooks {
		if match(w) {
			return w
		}
	}
	panic("the generator makes no such webhook")
}

func valid(w *history.Webhook) bool     { return w.Valid() && w.Facts.Status != "" }
func invalid(w *history.Webhook) bool   { return !w.Valid() }
func ofDispute(w *history.Webhook) bool { return w.Facts.Dispute != "" && w.Valid() }
