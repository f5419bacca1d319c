package checker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/chaos/workload"
)

// breach is a defect of a run and the invariant that it violates.
type breach struct {
	invariant, kind string
	commit          func(r *testRun)
}

var breaches = map[string]breach{
	"lost": {NoLoss, lost, func(r *testRun) { r.remove(r.find(valid).Key()) }},
	"lost, although another attempt got no answer": {NoLoss, lost, func(r *testRun) {
		w := r.find(valid)
		r.Attempts = append(r.Attempts, history.Attempt{Webhook: w.ID, To: "ingest-1", Failure: "cut"})
		r.remove(w.Key())
	}},
	"without a verdict":   {NoLoss, stuck, func(r *testRun) { r.State.Events[0].Verdict = "" }},
	"dead letter missing": {NoLoss, lost, func(r *testRun) { r.State.DeadLetters = r.State.DeadLetters[1:] }},
	"dead letter settled": {NoLoss, lost, func(r *testRun) { r.State.DeadLetters[0].Resolution = "discarded" }},
	"dead letter without an event": {NoPhantom, other, func(r *testRun) {
		r.State.DeadLetters = append(r.State.DeadLetters, history.DeadLetter{Provider: history.Unsigned, Event: "unknown"})
	}},
	"conflict lost": {NoLoss, lost, func(r *testRun) {
		i := r.letterIndex("conflict")
		r.State.DeadLetters = slices.Delete(r.State.DeadLetters, i, i+1)
	}},
	"conflict counted too few times": {NoLoss, lost, func(r *testRun) { r.State.DeadLetters[r.letterIndex("conflict")].Deliveries = 0 }},
	"a dead letter for each delivery": {NoLoss, lost, func(r *testRun) {
		r.State.DeadLetters = append(r.State.DeadLetters, r.State.DeadLetters[r.letterIndex("conflict")])
	}},
	"duplicate in another form taken for a conflict": {NoPhantom, other, func(r *testRun) {
		r.letter(r.find(func(w *history.Webhook) bool { return strings.HasSuffix(w.ID, " again") }), "conflict")
	}},
	"forced without an operator": {NoPhantom, other, func(r *testRun) { r.State.Events[0].Forced = true }},
	"accepted, and not settled so": {NoLoss, lost, func(r *testRun) {
		r.decide(r.letterIndex("contradiction"), history.Accepted)
		r.letterOf(r.Decisions[0]).Why = ""
	}},
	"discarded, and open again": {NoLoss, lost, func(r *testRun) {
		r.decide(r.letterIndex("contradiction"), history.Discarded)
		r.letterOf(r.Decisions[0]).Resolution = ""
	}},
	"discarded, and back in the history": {NoPhantom, other, func(r *testRun) {
		r.decide(r.letterIndex("contradiction"), history.Discarded)
		r.eventOf(r.Decisions[0]).InHistory = true
	}},
	"discarded, and applied": {NoLoss, lost, func(r *testRun) {
		r.decide(r.letterIndex("contradiction"), history.Discarded)
		r.eventOf(r.Decisions[0]).Verdict, r.eventOf(r.Decisions[0]).Reason = "applied", ""
	}},
	"conflict discarded without an operator": {NoLoss, lost, func(r *testRun) {
		r.State.DeadLetters[r.letterIndex("conflict")].Resolution = history.Discarded
	}},
	"accepted, and without effect": {Convergence, diverged, func(r *testRun) {
		orders, disputes := r.State.Orders, r.State.Disputes
		r.decide(r.letterIndex("contradiction"), history.Accepted)
		r.State.Orders, r.State.Disputes = orders, disputes
	}},
	"accepted conflict is no event": {NoLoss, lost, func(r *testRun) {
		r.decide(r.letterIndex("conflict"), history.Accepted)
		r.State.Events = slices.DeleteFunc(r.State.Events, func(e history.Event) bool { return e.Forced })
	}},
	"order with less captured": {Convergence, diverged, func(r *testRun) {
		o := &r.State.Orders[slices.IndexFunc(r.State.Orders, func(o history.StoredOrder) bool { return o.Parts != "" })]
		o.Parts = ""
	}},
	"dispute in another stage":              {Convergence, diverged, func(r *testRun) { r.State.Disputes[0].Stage = "unknown" }},
	"more commits than events of a dispute": {ExactlyOnce, doubled, func(r *testRun) { r.State.Disputes[0].Version++ }},
	"poison record lost":                    {NoLoss, lost, func(r *testRun) { r.Poison[0].Digest = "another" }},
	"never sent": {NoPhantom, other, func(r *testRun) {
		r.State.Events = append(r.State.Events, history.Event{Provider: history.Unsigned, Event: "unknown", Verdict: "applied"})
	}},
	"of another provider":          {NoPhantom, other, func(r *testRun) { r.State.Events[0].Provider = "another" }},
	"another body":                 {NoPhantom, other, func(r *testRun) { r.State.Events[0].Digest = history.Digest([]byte("{}")) }},
	"body changed in the database": {NoPhantom, other, func(r *testRun) { r.State.Events[0].BodyDigest = history.Digest([]byte("{}")) }},
	"another amount":               {NoPhantom, other, func(r *testRun) { r.State.Events[0].Facts.Amount.Minor++ }},
	"another time":                 {NoPhantom, other, func(r *testRun) { r.State.Events[0].Facts.At++ }},
	"recorded twice":               {ExactlyOnce, doubled, func(r *testRun) { r.State.Events = append(r.State.Events, r.State.Events[0]) }},
	"more commits than events":     {ExactlyOnce, doubled, func(r *testRun) { r.State.Orders[0].Version++ }},
	"order in another state":       {Convergence, diverged, func(r *testRun) { r.State.Orders[0].Status = "unknown" }},
	"order with an older amount":   {Convergence, diverged, func(r *testRun) { r.State.Orders[0].Amount.Minor-- }},
	"order missing":                {Convergence, diverged, func(r *testRun) { r.State.Orders = r.State.Orders[1:] }},
	"order without events": {Convergence, diverged, func(r *testRun) {
		r.State.Orders = append(r.State.Orders, history.StoredOrder{Order: history.Order{ID: "x", Status: "created"}})
	}},
	"dispute in another state": {Convergence, diverged, func(r *testRun) { r.State.Disputes[0].Status = "open, closed" }},
	"dispute missing":          {Convergence, diverged, func(r *testRun) { r.State.Disputes = r.State.Disputes[1:] }},
	"dispute without events": {Convergence, diverged, func(r *testRun) {
		r.State.Disputes = append(r.State.Disputes, history.StoredDispute{Dispute: history.Dispute{ID: "x"}})
	}},
	"dead-lettered by mistake": {Convergence, diverged, func(r *testRun) {
		e := &r.State.Events[slices.IndexFunc(r.State.Events, func(e history.Event) bool { return e.Verdict == "applied" })]
		e.Verdict, e.Reason = "dead_lettered", "contradiction"
		r.State.DeadLetters = append(r.State.DeadLetters, history.DeadLetter{Provider: history.Unsigned, Kind: e.Key().Kind, Event: e.Event, Digest: e.FactsDigest, Reason: e.Reason})
	}},
	"applied and a dead letter": {Convergence, diverged, func(r *testRun) {
		e := r.State.Events[slices.IndexFunc(r.State.Events, func(e history.Event) bool { return e.Verdict == "applied" })]
		r.State.DeadLetters = append(r.State.DeadLetters, history.DeadLetter{Provider: history.Unsigned, Kind: e.Key().Kind, Event: e.Event, Digest: e.FactsDigest})
	}},
	"stored although refused": {DefiniteFailure, other, func(r *testRun) {
		bad := r.find(invalid)
		r.State.Events = append(r.State.Events, eventOf(bad, "applied"))
	}},
	"forged, and recorded": {NoForgery, other, func(r *testRun) {
		r.State.Events = append(r.State.Events, eventOf(r.find((*history.Webhook).Forged), "applied"))
	}},
	"forged, and answered 2xx":  {NoForgery, other, func(r *testRun) { r.attempts(r.find((*history.Webhook).Forged).ID)[0].Status = 202 }},
	"forged, and a dead letter": {NoForgery, other, func(r *testRun) { r.letter(r.find((*history.Webhook).Forged), "undecodable") }},
	"forged, and its body a dead letter": {NoForgery, other, func(r *testRun) {
		w := r.find((*history.Webhook).Forged)
		r.State.DeadLetters = append(r.State.DeadLetters, history.DeadLetter{Provider: w.Source, Event: "sha256:" + w.Digest(), Reason: "undecodable"})
	}},
	"forged, and refused as something else": {BoundedAnswers, other, func(r *testRun) {
		r.attempts(r.find((*history.Webhook).Forged).ID)[0].Status = 400
	}},
	"signed webhook refused": {BoundedAnswers, other, func(r *testRun) {
		w := r.find(func(w *history.Webhook) bool { return valid(w) && w.Signature == history.Authentic })
		r.Attempts = append(r.Attempts, history.Attempt{Webhook: w.ID, To: "ingest-1", Status: 401})
	}},
	"recorded under another source": {NoPhantom, other, func(r *testRun) {
		i := slices.IndexFunc(r.State.Events, func(e history.Event) bool { return e.Provider == history.Signed })
		r.State.Events[i].Provider = history.Unsigned
	}},
	"accepted although invalid": {DefiniteFailure, other, func(r *testRun) { r.attempts(r.find(invalid).ID)[0].Status = 200 }},
	"never caught up":           {Liveness, stuck, func(r *testRun) { r.CaughtUp = -1 }},
	"caught up late":            {Liveness, stuck, func(r *testRun) { r.CaughtUp = history.Strict.CaughtUp + 1 }},
	"complaint":                 {Liveness, other, func(r *testRun) { r.Complaints = []string{"api-1 stopped with exit code 1"} }},
	"ready late": {Liveness, other, func(r *testRun) {
		r.Faults = []history.Fault{{Kind: history.Kill, Target: "api-1", From: 1, Healed: 2, Over: 2, Ready: 2 + history.Strict.Ready.Microseconds() + 1}}
	}},
	"goroutines leak": {Liveness, other, func(r *testRun) {
		r.Fresh, r.Used = []history.Usage{usage("api-1", 30, 1<<20)}, []history.Usage{usage("api-1", 30+3+history.MaxMoreGoroutines+1, 1<<20)}
	}},
	"memory leaks": {Liveness, other, func(r *testRun) {
		r.Fresh, r.Used = []history.Usage{usage("api-1", 30, 1<<20)}, []history.Usage{usage("api-1", 30, 1<<20+history.MaxMoreHeap+1)}
	}},
	"goroutines leak until the process is killed": {Liveness, other, func(r *testRun) {
		r.leak(usage("api-1", 50+5+history.MaxMoreGoroutines+1, 4<<20))
	}},
	"memory leaks until the process is killed": {Liveness, other, func(r *testRun) {
		r.leak(usage("api-1", 50, 4<<20+history.MaxMoreHeap+1))
	}},
	"usage unknown after a fault": {Liveness, other, func(r *testRun) {
		r.leak(usage("api-2", 50, 4<<20))
	}},
	"usage unknown after the run": {Liveness, other, func(r *testRun) {
		r.Fresh, r.Used = []history.Usage{usage("api-1", 30, 1<<20)}, nil
	}},
	"undocumented status": {BoundedAnswers, other, func(r *testRun) { r.attempts(r.find(valid).ID)[0].Status = 500 }},
	"valid webhook refused": {BoundedAnswers, other, func(r *testRun) {
		r.Attempts = append(r.Attempts, history.Attempt{Webhook: r.find(valid).ID, To: "ingest-1", Status: 400})
	}},
	"late answer": {BoundedAnswers, other, func(r *testRun) {
		a := r.attempts(r.find(valid).ID)[0]
		a.Done = a.From + history.Strict.Answer.Microseconds() + 1
	}},
	"late answer while another ingest was frozen": {BoundedAnswers, other, func(r *testRun) {
		a := r.attempts(r.find(valid).ID)[0]
		a.Done = a.From + history.Strict.Answer.Microseconds() + 1
		r.Faults = []history.Fault{{Kind: history.Freeze, Target: "ingest-2", From: a.From, Healed: a.Done, Ready: a.Done}}
	}},
	"late answer while the tester was stalled for part of it": {BoundedAnswers, other, func(r *testRun) {
		a := r.attempts(r.find(valid).ID)[0]
		a.Done = a.From + history.Strict.Answer.Microseconds() + 500_000
		r.Stalls = []history.Stall{{From: a.From + 1000, To: a.From + 401_000}}
	}},
	"decided without an entry in the audit log": {Audited, lost, func(r *testRun) {
		r.decide(r.letterIndex("contradiction"), history.Discarded)
		r.State.Audit = nil
	}},
	"decided once, with two entries": {Audited, doubled, func(r *testRun) {
		r.decide(r.letterIndex("contradiction"), history.Accepted)
		r.State.Audit = append(r.State.Audit, r.State.Audit[0])
	}},
	"entry without its decision": {Audited, other, func(r *testRun) {
		r.audit(&r.State.DeadLetters[r.letterIndex("contradiction")], history.Discarded, history.Discarded)
	}},
	"entry of another decision": {Audited, other, func(r *testRun) {
		r.decide(r.letterIndex("contradiction"), history.Discarded)
		r.audit(&r.State.DeadLetters[r.letterIndex("contradiction")], history.Accepted, history.Accepted)
	}},
	"entry of an unknown dead letter": {Audited, other, func(r *testRun) {
		r.State.Audit = append(r.State.Audit, history.AuditEntry{Action: "discard", Target: "dead letter 1000000", Letter: 1_000_000})
	}},
	"entry by another operator":       {Audited, other, breakEntry(func(e *history.AuditEntry) { e.Who = "another" })},
	"entry with another reason":       {Audited, other, breakEntry(func(e *history.AuditEntry) { e.Why = "" })},
	"entry about another order":       {Audited, other, breakEntry(func(e *history.AuditEntry) { e.Order = "another" })},
	"entry with another state before": {Audited, other, breakEntry(func(e *history.AuditEntry) { e.Before = "accepted" })},
	"entry with another state after":  {Audited, other, breakEntry(func(e *history.AuditEntry) { e.After = "open" })},
	"entry at another time":           {Audited, other, breakEntry(func(e *history.AuditEntry) { e.At++ })},
	"replayed, with too few entries":  {Audited, lost, func(r *testRun) { r.replay(r.letterIndex("contradiction"), 2, 5, 1) }},
	"replayed, with too many entries": {Audited, doubled, func(r *testRun) { r.replay(r.letterIndex("contradiction"), 2, 1, 4) }},
	"replayed without a call":         {Audited, doubled, func(r *testRun) { r.replay(r.letterIndex("contradiction"), 0, 0, 1) }},
	"stored state that its history does not fold to": {Derived, diverged, func(r *testRun) {
		r.Rederived.Differences = []history.Difference{{Order: "o-1", Field: "head", Stored: "now", Derived: "then"}}
	}},
	"orders not derived again": {Derived, other, func(r *testRun) { r.Rederived.Orders-- }},
	"events not derived again": {Derived, other, func(r *testRun) { r.Rederived.Events = 0 }},
	"nothing derived again":    {Derived, other, func(r *testRun) { r.Rederived = nil }},
	"applied, and on no page": {Listed, lost, func(r *testRun) {
		order, at := r.applied()
		r.Listings = nil
		without(r.list(at+1, at+2), order)
	}},
	"listed before, and on no page": {Listed, lost, func(r *testRun) {
		end := r.Listings[0].Done
		without(r.list(end+1, end+2), r.State.Orders[7].ID)
	}},
	"listed since a restore, and on no page": {Listed, lost, func(r *testRun) {
		r.restore(10)
		r.Listings = nil
		r.list(21, 22)
		without(r.list(23, 24), r.State.Orders[7].ID)
	}},
	"on two pages":          {Listed, doubled, func(r *testRun) { r.Listings[0].Orders = append(r.Listings[0].Orders, r.Listings[0].Orders[0]) }},
	"page without a cursor": {Listed, other, func(r *testRun) { r.Listings[0].Defect = "a page is answered 400" }},
	"no Retry-After":        {BoundedAnswers, other, func(r *testRun) { r.attempts(r.find(valid).ID)[0].Defect = "has no Retry-After" }},
}

// TestCheckAccepts: a good run violates nothing, and neither do delays that faults
// explain.
func TestCheckAccepts(t *testing.T) {
	r := newTestRun(200)
	r.leak(usage("api-1", 50+5+history.MaxMoreGoroutines, 4<<20+history.MaxMoreHeap)) // the most that is allowed
	faults := r.Faults
	a := r.attempts(r.find(valid).ID)[0]
	a.Done = a.From + history.Strict.Answer.Microseconds() + 1
	r.Faults = append(faults, history.Fault{Kind: history.Freeze, Target: "ingest-1", From: a.From, Healed: a.Done, Ready: a.Done, Usage: r.Baseline})
	late := r.attempts(r.find(ofDispute).ID)[0]
	late.Done = late.From + history.Strict.Answer.Microseconds() + 500_000
	r.Stalls = []history.Stall{{From: late.From, To: late.From + 600_000}}
	r.attempts(r.find((*history.Webhook).Forged).ID)[0].Status = 429 // there were too many
	r.Attempts = append(r.Attempts, history.Attempt{Webhook: r.find(ofDispute).ID, To: "ingest-1", Status: 503},
		history.Attempt{Webhook: r.find(ofDispute).ID, To: "ingest-1", Failure: "cut"})
	for _, v := range Check(r.History, &r.State) {
		t.Errorf("%s: %s", v.Invariant, v.What)
	}
}

// TestCheckAcceptsDecisions: dead letters that an operator decided violate nothing.
func TestCheckAcceptsDecisions(t *testing.T) {
	for _, resolution := range []string{history.Accepted, history.Discarded} {
		for _, reason := range []string{"contradiction", "currency_mismatch", "order_mismatch", "conflict"} {
			r := newTestRun(500)
			r.decide(r.letterIndex(reason), resolution)
			for _, v := range Check(r.History, &r.State) {
				t.Errorf("%s %s: %s: %s", reason, resolution, v.Invariant, v.What)
			}
		}
	}
}

// TestCheckDetects: each breach violates its invariant.
func TestCheckDetects(t *testing.T) {
	for name, b := range breaches {
		t.Run(name, func(t *testing.T) {
			r := newTestRun(200)
			b.commit(r)
			found := Check(r.History, &r.State)
			if !slices.ContainsFunc(found, func(v Violation) bool { return v.Invariant == b.invariant && v.Kind == b.kind }) {
				t.Errorf("Check() = %v, want %s (%s)", found, b.invariant, b.kind)
			}
		})
	}
}

// breakEntry returns a run with a decision whose entry in the audit log is changed.
func breakEntry(change func(*history.AuditEntry)) func(*testRun) {
	return func(r *testRun) {
		r.decide(r.letterIndex("contradiction"), history.Discarded)
		change(&r.State.Audit[0])
	}
}

// restore adds a restore of the database at a time, which lasts 10 microseconds.
func (r *testRun) restore(at int64) {
	r.Faults = []history.Fault{{Kind: history.Restore, Target: "database", From: at, Healed: at + 10, Over: at + 10, Ready: at + 10}}
}

// TestCheckAcceptsReplays: a replay that was not answered has an entry or none.
func TestCheckAcceptsReplays(t *testing.T) {
	for _, entries := range []int{2, 3} {
		r := newTestRun(200)
		r.replay(r.letterIndex("contradiction"), 2, 1, entries)
		for _, v := range Check(r.History, &r.State) {
			t.Errorf("%d entries: %s: %s", entries, v.Invariant, v.What)
		}
	}
}

// TestCheckAcceptsListings: an order may be on no page if it was not visible when the first
// page was requested, or while a backup takes the place of the database.
func TestCheckAcceptsListings(t *testing.T) {
	for name, change := range map[string]func(r *testRun, order string, answered int64){
		"applied later": func(r *testRun, order string, answered int64) {
			r.Listings = nil
			without(r.list(answered-1, answered+1), order)
		},
		"during a restore": func(r *testRun, order string, _ int64) {
			r.restore(10)
			r.Listings = nil
			r.list(1, 2)
			without(r.list(19, 30), order)
		},
		"not yet back after a restore": func(r *testRun, order string, _ int64) {
			r.restore(10)
			r.Listings = nil
			r.list(1, 2)
			without(r.list(21, 22), order)
		},
	} {
		r := newTestRun(50)
		order, at := r.applied()
		change(r, order, at)
		for _, v := range Check(r.History, &r.State) {
			t.Errorf("%s: %s: %s", name, v.Invariant, v.What)
		}
	}
}

// TestCheckAcceptsUnknown: a webhook that was never answered may be recorded or not.
func TestCheckAcceptsUnknown(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		r := newTestRun(20)
		webhook := workload.OrderWebhook("unknown", history.Facts{Order: "unknown", User: "u", Status: "created", Amount: history.Money{Minor: 1, Currency: "USD"}, At: 1_000_000, CreatedAt: 1_000_000})
		r.send(webhook)
		r.attempts(webhook.ID)[0].Status = 0
		if recorded {
			r.store([]Fact{{Webhook: webhook}})
			r.rederive()
		}
		for _, v := range Check(r.History, &r.State) {
			t.Errorf("recorded = %t: %s: %s", recorded, v.Invariant, v.What)
		}
	}
}

func TestCheckParity(t *testing.T) {
	reports := func(change func(*testRun)) []*Report {
		one, two := newTestRun(30), newTestRun(20)
		change(two)
		return []*Report{NewReport(one.History, &one.State), NewReport(two.History, &two.State)}
	}
	if found := CheckParity(reports(func(*testRun) {})); len(found) != 0 {
		t.Errorf("CheckParity(equal runs) = %v, want none", found)
	}
	for name, change := range map[string]func(*testRun){
		"order":   func(r *testRun) { r.State.Orders[3].Amount.Minor++ },
		"dispute": func(r *testRun) { r.State.Disputes[0].Status = "x" },
		"event":   func(r *testRun) { r.remove(r.State.Events[0].Key()) },
	} {
		if found := CheckParity(reports(change)); len(found) != 1 || found[0].Invariant != Parity {
			t.Errorf("CheckParity(another %s) = %v, want one violation of %s", name, found, Parity)
		}
	}
	other := reports(func(r *testRun) { r.State.Orders[3].Amount.Minor++ })
	if other[1].Seed++; len(CheckParity(other)) != 0 {
		t.Error("CheckParity compares runs with different seeds")
	}
}

func TestSlowest(t *testing.T) {
	r := newTestRun(5)
	r.Attempts[2].Done = r.Attempts[2].From + 1_500_000
	if r := NewReport(r.History, &r.State); r.Slowest != 1500*time.Millisecond {
		t.Errorf("Slowest = %s, want 1.5s", r.Slowest)
	}
}
