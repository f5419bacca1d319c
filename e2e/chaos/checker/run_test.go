package checker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
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
	var facts []Fact
	for number := range orders {
		for _, d := range (workload.Generator{Seed: r.Seed}).Order(number) {
			r.send(d.Webhook)
			for _, w := range d.Then {
				r.send(w)
			}
			if d.Webhook.Valid() {
				facts = append(facts, Fact{Webhook: d.Webhook})
			}
		}
	}
	r.store(facts)
	r.rederive()
	r.list(0, int64(len(r.Attempts))*1000)
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
	r.Attempts = append(r.Attempts, history.Attempt{Webhook: w.ID, To: "ingest-1", From: at, Done: at + 500, Status: status})
}

// store adds the rows that facts should make.
func (r *testRun) store(facts []Fact) {
	model, changes := Fold(facts), make(map[subject]int64)
	for _, f := range facts {
		changes[about(f.Webhook)]++
		e := eventOf(f.Webhook, "applied")
		e.Forced = f.Forced
		if reason := model.DeadLettered[f.Key()]; reason != "" {
			e.Verdict, e.Reason, e.InHistory = "dead_lettered", reason, reason != "unknown_status"
			r.letter(f.Webhook, reason)
		}
		r.State.Events = append(r.State.Events, e)
	}
	for _, id := range slices.Sorted(maps.Keys(model.Orders)) {
		r.State.Orders = append(r.State.Orders, history.StoredOrder{Order: model.Orders[id], Version: changes[subject{"order", id}]})
	}
	for _, id := range slices.Sorted(maps.Keys(model.Disputes)) {
		r.State.Disputes = append(r.State.Disputes, history.StoredDispute{Dispute: model.Disputes[id], Version: changes[subject{"dispute", id}]})
	}
	for _, w := range r.Webhooks {
		if strings.HasSuffix(w.ID, " in conflict") && slices.ContainsFunc(facts, func(f Fact) bool { return f.Key() == w.Key() }) {
			r.letter(w, "conflict")
		}
	}
}

// letter adds an open dead letter of a webhook.
func (r *testRun) letter(w *history.Webhook, reason string) {
	r.State.DeadLetters = append(r.State.DeadLetters, history.DeadLetter{ID: int64(len(r.State.DeadLetters) + 1),
		Provider: w.Source, Kind: w.Facts.Kind(), Event: w.Event, Order: w.Facts.Order, Digest: factsDigest(w), Reason: reason, Deliveries: 1})
}

// factsDigest stands in for the digest of the facts that the program makes.
func factsDigest(w *history.Webhook) string { return history.Digest(fmt.Append(nil, w.Facts)) }

// decide has an operator decide the dead letter at an index, as the program would.
func (r *testRun) decide(index int, resolution string) {
	l := r.State.DeadLetters[index]
	kept := slices.DeleteFunc(slices.Clone(r.State.DeadLetters), func(d history.DeadLetter) bool { return d.Reason != "undecodable" })
	r.Decisions = append(r.Decisions, history.Decision{Letter: l, Resolution: resolution, By: "operator", Why: "the bank says so"})
	r.State.Events, r.State.Orders, r.State.Disputes, r.State.DeadLetters = nil, nil, nil, nil
	var facts []Fact
	isConflict := l.Reason == "conflict"
	for _, w := range r.Webhooks {
		isIts := w.Key() == l.Key() && w.Repeats == isConflict && w.Valid()
		switch {
		case isIts && isConflict && resolution == history.Accepted:
			own := *w
			own.Event += "#" + l.Digest[:16]
			facts = append(facts, Fact{&own, true})
		case isIts && !isConflict && resolution == history.Accepted:
			facts = append(facts, Fact{w, true})
		case w.Valid() && !w.Repeats && (isConflict || !isIts):
			facts = append(facts, Fact{Webhook: w})
		}
	}
	r.store(facts)
	for _, w := range r.Webhooks {
		if w.Key() == l.Key() && !w.Repeats && w.Valid() && !isConflict && resolution == history.Discarded {
			e := eventOf(w, "dead_lettered")
			e.Reason, e.InHistory = l.Reason, false
			r.State.Events = append(r.State.Events, e)
		}
	}
	r.State.DeadLetters = slices.DeleteFunc(r.State.DeadLetters, func(d history.DeadLetter) bool { return d.Key() == l.Key() && d.Reason == l.Reason })
	l.Resolution, l.By, l.Why, l.ID, l.ResolvedAt = resolution, "operator", "the bank says so", int64(len(r.Webhooks)), 1
	r.Decisions[len(r.Decisions)-1].Letter.ID = l.ID
	r.State.DeadLetters = append(append(r.State.DeadLetters, l), kept...)
	r.audit(&l, resolution, resolution+": applied")
	r.rederive()
}

// audit adds the entry of an action on an open dead letter to the audit log.
func (r *testRun) audit(l *history.DeadLetter, resolution, after string) {
	r.State.Audit = append(r.State.Audit, history.AuditEntry{ID: int64(len(r.State.Audit) + 1), Letter: l.ID, Order: l.Order, At: l.ResolvedAt,
		Who: "operator", Why: "the bank says so", Action: history.Actions[resolution], Before: "open: " + l.Reason, After: after})
}

// replay has an operator replay the dead letter at an index, which stays open, by calls
// that were answered and others that were not, and adds a number of entries.
func (r *testRun) replay(index, answered, unknown, entries int) {
	l := &r.State.DeadLetters[index]
	r.Replays = append(r.Replays, history.Replay{Letter: *l, By: "operator", Why: "the bank says so", Answered: answered, Unknown: unknown})
	for range entries {
		r.audit(l, history.Replayed, "open: "+l.Reason)
	}
}

// rederive has the program find no difference.
func (r *testRun) rederive() {
	r.Rederived = &history.Rederived{Orders: int64(len(r.State.Orders)), Disputes: int64(len(r.State.Disputes)), Events: int64(len(r.State.Events))}
}

// list reads a listing of all orders.
func (r *testRun) list(from, done int64) *history.Listing {
	l := history.Listing{From: from, Done: done}
	for _, o := range r.State.Orders {
		l.Orders = append(l.Orders, o.ID)
	}
	r.Listings = append(r.Listings, l)
	return &r.Listings[len(r.Listings)-1]
}

// applied gives an attempt about an order the verdict applied, and returns the order and
// when it was answered.
func (r *testRun) applied() (order string, at int64) {
	w := r.find(func(w *history.Webhook) bool { return valid(w) && !ofDispute(w) })
	a := r.attempts(w.ID)[0]
	a.Verdict = "applied"
	return w.Facts.Order, a.Done
}

// without removes an order from a listing.
func without(l *history.Listing, order string) {
	l.Orders = slices.DeleteFunc(l.Orders, func(o string) bool { return o == order })
}

// letterIndex returns the index of the first dead letter with a reason.
func (r *testRun) letterIndex(reason string) int {
	return slices.IndexFunc(r.State.DeadLetters, func(l history.DeadLetter) bool { return l.Reason == reason })
}

// letterOf and eventOf return the dead letter of a decision, and its event.
func (r *testRun) letterOf(d history.Decision) *history.DeadLetter {
	return &r.State.DeadLetters[slices.IndexFunc(r.State.DeadLetters, func(l history.DeadLetter) bool { return l.ID == d.Letter.ID })]
}

func (r *testRun) eventOf(d history.Decision) *history.Event {
	return &r.State.Events[slices.IndexFunc(r.State.Events, func(e history.Event) bool { return e.Key() == d.Letter.Key() })]
}

func eventOf(w *history.Webhook, verdict string) history.Event {
	return history.Event{Provider: w.Source, Event: w.Event, InHistory: w.Facts.Status != "", Facts: w.Facts, FactsDigest: factsDigest(w), Digest: w.Digest(), BodyDigest: w.Digest(), Verdict: verdict}
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
func (r *testRun) attempts(id string) []*history.Attempt {
	var all []*history.Attempt
	for i := range r.History.Attempts {
		if a := &r.History.Attempts[i]; a.Webhook == id {
			all = append(all, a)
		}
	}
	return all
}

// remove deletes the rows of an event from the database.
func (r *testRun) remove(key history.Key) {
	var left []history.Event
	for _, e := range r.State.Events {
		if e.Key() != key {
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

func valid(w *history.Webhook) bool     { return w.Valid() && w.Facts.Status != "" && !w.Repeats }
func invalid(w *history.Webhook) bool   { return !w.Valid() && !w.Forged() }
func ofDispute(w *history.Webhook) bool { return w.Facts.Dispute != "" && valid(w) }
