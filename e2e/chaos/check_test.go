package chaos

import (
	"slices"
	"testing"
	"time"
)

// breach is something that is wrong with a run, and what has to notice.
type breach struct {
	invariant, kind string
	commit          func(w *world)
}

var breaches = map[string]breach{
	"lost": {NoLoss, lost, func(w *world) { w.forget(w.find(good).Event) }},
	"lost, although another attempt got no answer": {NoLoss, lost, func(w *world) {
		event := w.find(good).Event
		w.Attempts = append(w.Attempts, Attempt{Event: event, To: "ingest-1", Failure: "cut"})
		w.forget(event)
	}},
	"without a verdict":                   {NoLoss, stuck, func(w *world) { w.State.Events[0].Verdict = "" }},
	"dead letter that nobody finds":       {NoLoss, lost, func(w *world) { w.State.Letters = w.State.Letters[1:] }},
	"dead letter that is settled already": {NoLoss, lost, func(w *world) { w.State.Letters[0].Resolution = "discarded" }},
	"dead letter without an event": {NoPhantom, other, func(w *world) {
		w.State.Letters = append(w.State.Letters, DeadLetter{Provider: provider, Event: "nobody's"})
	}},
	"stray record is lost": {NoLoss, lost, func(w *world) { w.Strays[0].Digest = "another" }},
	"never sent": {NoPhantom, other, func(w *world) {
		w.State.Events = append(w.State.Events, Event{Provider: provider, Event: "nobody's", Verdict: "applied"})
	}},
	"of another provider":                  {NoPhantom, other, func(w *world) { w.State.Events[0].Provider = "somebody" }},
	"another body":                         {NoPhantom, other, func(w *world) { w.State.Events[0].Digest = digestOf([]byte("{}")) }},
	"body that is changed in the database": {NoPhantom, other, func(w *world) { w.State.Events[0].Stored = digestOf([]byte("{}")) }},
	"another amount":                       {NoPhantom, other, func(w *world) { w.State.Events[0].Says.Amount++ }},
	"another time":                         {NoPhantom, other, func(w *world) { w.State.Events[0].Says.At++ }},
	"recorded twice":                       {ExactlyOnce, doubled, func(w *world) { w.State.Events = append(w.State.Events, w.State.Events[0]) }},
	"more commits than events":             {ExactlyOnce, doubled, func(w *world) { w.State.Orders[0].Version++ }},
	"order in another state":               {Convergence, diverged, func(w *world) { w.State.Orders[0].Status = "unheard of" }},
	"order with an older amount":           {Convergence, diverged, func(w *world) { w.State.Orders[0].Amount-- }},
	"order missing":                        {Convergence, diverged, func(w *world) { w.State.Orders = w.State.Orders[1:] }},
	"order of nobody":                      {Convergence, diverged, func(w *world) { w.State.Orders = append(w.State.Orders, StoredOrder{Order: Order{ID: "x"}}) }},
	"dispute in another state":             {Convergence, diverged, func(w *world) { w.State.Disputes[0].Status = "open, closed" }},
	"dispute missing":                      {Convergence, diverged, func(w *world) { w.State.Disputes = w.State.Disputes[1:] }},
	"dispute of nobody":                    {Convergence, diverged, func(w *world) { w.State.Disputes = append(w.State.Disputes, Dispute{ID: "x"}) }},
	"refused by mistake": {Convergence, diverged, func(w *world) {
		e := &w.State.Events[slices.IndexFunc(w.State.Events, func(e Event) bool { return e.Verdict == "applied" })]
		e.Verdict, e.Reason = "dead_lettered", "illegal_transition"
		w.State.Letters = append(w.State.Letters, DeadLetter{Provider: provider, Event: e.Event, Digest: e.Digest, Reason: e.Reason})
	}},
	"applied and a dead letter": {Convergence, diverged, func(w *world) {
		e := w.State.Events[slices.IndexFunc(w.State.Events, func(e Event) bool { return e.Verdict == "applied" })]
		w.State.Letters = append(w.State.Letters, DeadLetter{Provider: provider, Event: e.Event, Digest: e.Digest})
	}},
	"stored although refused": {DefiniteFailure, other, func(w *world) {
		bad := w.find(refusable)
		w.State.Events = append(w.State.Events, Event{Provider: provider, Event: bad.Event, Says: bad.Says, Digest: bad.Digest(), Stored: bad.Digest(), Verdict: "applied"})
	}},
	"accepted although wrong": {DefiniteFailure, other, func(w *world) { w.attemptsOf(w.find(refusable).Event)[0].Status = 200 }},
	"never caught up":         {Liveness, stuck, func(w *world) { w.CaughtUp = -1 }},
	"late to catch up":        {Liveness, stuck, func(w *world) { w.CaughtUp = caughtUpWithin + 1 }},
	"complaint":               {Liveness, other, func(w *world) { w.Complaints = []string{"api-1 stopped with exit code 1"} }},
	"slow to be ready": {Liveness, other, func(w *world) {
		w.Faults = []Fault{{Kind: kill, Target: "api-1", From: 1, Healed: 2, Over: 2, Ready: 2 + Strict.Ready.Microseconds() + 1}}
	}},
	"goroutines leak": {Liveness, other, func(w *world) {
		w.Fresh, w.Used = []Vitals{{"api-1", 30, 1 << 20}}, []Vitals{{"api-1", 30 + 3 + moreGoroutines + 1, 1 << 20}}
	}},
	"memory leaks": {Liveness, other, func(w *world) {
		w.Fresh, w.Used = []Vitals{{"api-1", 30, 1 << 20}}, []Vitals{{"api-1", 30, 1<<20 + moreHeap + 1}}
	}},
	"goroutines leak with a fault, until the process is killed": {Liveness, other, func(w *world) {
		w.leak(Vitals{"api-1", 50 + 5 + moreGoroutines + 1, 4 << 20})
	}},
	"memory leaks with a fault, until the process is killed": {Liveness, other, func(w *world) {
		w.leak(Vitals{"api-1", 50, 4<<20 + moreHeap + 1})
	}},
	"nobody looked at a process after a fault": {Liveness, other, func(w *world) {
		w.leak(Vitals{"api-2", 50, 4 << 20})
	}},
	"nobody looked at a process after the run": {Liveness, other, func(w *world) {
		w.Fresh, w.Used = []Vitals{{"api-1", 30, 1 << 20}}, nil
	}},
	"undocumented status": {BoundedAnswers, other, func(w *world) { w.attemptsOf(w.find(good).Event)[0].Status = 500 }},
	"good webhook refused": {BoundedAnswers, other, func(w *world) {
		w.Attempts = append(w.Attempts, Attempt{Event: w.find(good).Event, To: "ingest-1", Status: 400})
	}},
	"late answer": {BoundedAnswers, other, func(w *world) {
		a := w.attemptsOf(w.find(good).Event)[0]
		a.Done = a.From + Strict.Answer.Microseconds() + 1
	}},
	"late answer, while another edge was frozen": {BoundedAnswers, other, func(w *world) {
		a := w.attemptsOf(w.find(good).Event)[0]
		a.Done = a.From + Strict.Answer.Microseconds() + 1
		w.Faults = []Fault{{Kind: freeze, Target: "ingest-2", From: a.From, Healed: a.Done, Ready: a.Done}}
	}},
	"late answer, while the tester was stalled for a part of it": {BoundedAnswers, other, func(w *world) {
		a := w.attemptsOf(w.find(good).Event)[0]
		a.Done = a.From + Strict.Answer.Microseconds() + 500_000
		w.Stalls = []Stall{{a.From + 1000, a.From + 401_000}}
	}},
	"no Retry-After": {BoundedAnswers, other, func(w *world) { w.attemptsOf(w.find(good).Event)[0].Fault = "has no Retry-After" }},
}

// TestCheckIsQuiet: a run as it should be breaches nothing, nor does what faults
// excuse.
func TestCheckIsQuiet(t *testing.T) {
	w := newWorld(200)
	w.leak(Vitals{"api-1", 50 + 5 + moreGoroutines, 4<<20 + moreHeap}) // no leak yet
	quiet := w.Faults
	a := w.attemptsOf(w.find(good).Event)[0]
	a.Done = a.From + Strict.Answer.Microseconds() + 1
	w.Faults = append(quiet, Fault{Kind: freeze, Target: "ingest-1", From: a.From, Healed: a.Done, Ready: a.Done, Vitals: w.Baseline})
	late := w.attemptsOf(w.find(disputable).Event)[0]
	late.Done = late.From + Strict.Answer.Microseconds() + 500_000
	w.Stalls = []Stall{{late.From, late.From + 600_000}}
	w.Attempts = append(w.Attempts, Attempt{Event: w.find(disputable).Event, To: "ingest-1", Status: 503},
		Attempt{Event: w.find(disputable).Event, To: "ingest-1", Failure: "cut"})
	for _, v := range Check(w.History, &w.State) {
		t.Errorf("%s: %s", v.Invariant, v.What)
	}
}

// TestCheckNotices: a checker that cannot fail shows nothing.
func TestCheckNotices(t *testing.T) {
	for name, b := range breaches {
		t.Run(name, func(t *testing.T) {
			w := newWorld(200)
			b.commit(w)
			found := Check(w.History, &w.State)
			if !slices.ContainsFunc(found, func(v Violation) bool { return v.Invariant == b.invariant && v.Kind == b.kind }) {
				t.Errorf("found %v, want %s (%s)", found, b.invariant, b.kind)
			}
		})
	}
}

// TestUnknownIsAllowed: a webhook that was never answered may be there or not.
func TestUnknownIsAllowed(t *testing.T) {
	for _, there := range []bool{true, false} {
		w := newWorld(20)
		webhook := orderWebhook("unknown", Facts{Order: "unknown", User: "u", Status: "created", Amount: 1, Currency: "USD", At: 1_000_000, CreatedAt: 1_000_000})
		w.send(webhook)
		w.attemptsOf("unknown")[0].Status = 0
		if there {
			w.record("unknown", []*Webhook{webhook})
		}
		for _, v := range Check(w.History, &w.State) {
			t.Errorf("there: %t: %s: %s", there, v.Invariant, v.What)
		}
	}
}

func TestCheckParity(t *testing.T) {
	reports := func(change func(*world)) []*Report {
		one, two := newWorld(30), newWorld(20)
		change(two)
		return []*Report{NewReport(one.History, &one.State), NewReport(two.History, &two.State)}
	}
	if found := CheckParity(reports(func(*world) {})); len(found) != 0 {
		t.Errorf("equal runs differ: %v", found)
	}
	for name, change := range map[string]func(*world){
		"order":   func(w *world) { w.State.Orders[3].Amount++ },
		"dispute": func(w *world) { w.State.Disputes[0].Status = "x" },
		"event":   func(w *world) { w.forget(w.State.Events[0].Event) },
	} {
		if found := CheckParity(reports(change)); len(found) != 1 || found[0].Invariant != Parity {
			t.Errorf("%s: found %v", name, found)
		}
	}
	other := reports(func(w *world) { w.State.Orders[3].Amount++ })
	if other[1].Seed++; len(CheckParity(other)) != 0 {
		t.Error("runs with different seeds are compared")
	}
}

func TestSlowest(t *testing.T) {
	w := newWorld(5)
	w.Attempts[2].Done = w.Attempts[2].From + 1_500_000
	if r := NewReport(w.History, &w.State); r.Slowest != 1500*time.Millisecond {
		t.Errorf("the slowest answer took %s", r.Slowest)
	}
}
