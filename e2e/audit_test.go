package e2e

import (
	"fmt"
	"testing"
	"time"
)

// check fails the test unless each webhook is recorded once and nothing else is, no
// update of an order has overtaken another, and every order and dispute is in the
// state after its webhooks.
func (l *load) check(t *testing.T, c *cluster) {
	t.Helper()
	l.awaitRecorded(t, c)
	l.sendLast(t, c)
	for _, wrong := range audit(l.sent, l.awaitRecorded(t, c)) {
		t.Error(wrong)
	}
	l.wantStates(t, c)
}

// sendLast sends webhooks to every partition. In mode kafka they come after all
// others: once they are recorded, a second effect of any other would be recorded
// too.
func (l *load) sendLast(t *testing.T, c *cluster) {
	t.Helper()
	const most = 64
	for i := range most {
		facts := story(fmt.Sprint("last-", i), 1)
		for _, f := range []fact{facts[0], facts[4]} {
			c.acceptSoon(t, f.webhook) // a process may have been struck just before
			l.sent = append(l.sent, f)
		}
	}
}

// awaitRecorded waits until there are as many events as webhooks, and returns them
// in the order of recording, those of disputes after those of orders. It returns
// too when the time is up: the audit reports which events are missing.
func (l *load) awaitRecorded(t *testing.T, c *cluster) (recorded []eventItem) {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(appliedWithin); ; <-ticker.C {
		recorded = append(list[eventItem](t, c, "/orders/events", nil), list[eventItem](t, c, "/disputes/events", nil)...)
		if len(recorded) >= len(l.sent) || time.Now().After(deadline) {
			return recorded
		}
	}
}

// audit compares the recorded events with webhooks that were all accepted, and
// returns what is wrong. A webhook that was sent after another of its order was
// accepted must not be recorded before that one.
func audit(sent []fact, recorded []eventItem) []string {
	unseen, places, wrong := make(map[string]fact, len(sent)), make(map[string]int, len(sent)), []string(nil)
	for i, f := range sent {
		unseen[f.event], places[f.event] = f, i
	}
	newest := make(map[string]int) // the place of the newest recorded event, by order or its disputes
	for _, e := range recorded {
		f, expected := unseen[e.EventID]
		delete(unseen, e.EventID)
		place, about := places[e.EventID], fmt.Sprint(e.OrderID, f.dispute)
		if f.prompt && place < newest[about] {
			wrong = append(wrong, fmt.Sprintf("event %s was overtaken by %s", e.EventID, sent[newest[about]].event))
		}
		newest[about] = max(newest[about], place)
		switch {
		case !expected:
			wrong = append(wrong, fmt.Sprintf("event %s is recorded twice, or was never sent", e.EventID))
		case e.OrderID != f.order || e.Kind != f.kind || e.BodySHA256 != f.digest():
			wrong = append(wrong, fmt.Sprintf("event %s is recorded as %+v", e.EventID, e))
		case e.Verdict != "applied" && e.Verdict != "stale":
			wrong = append(wrong, fmt.Sprintf("event %s has the verdict %s %s", e.EventID, e.Verdict, e.Reason))
		}
	}
	for event := range unseen {
		wrong = append(wrong, fmt.Sprintf("event %s is lost", event))
	}
	return wrong
}

// TestAudit: the audit detects each defect.
func TestAudit(t *testing.T) {
	facts := story("order", 1)[:3]
	good := func(i int) eventItem {
		f := facts[i]
		return eventItem{EventID: f.event, OrderID: f.order, Kind: f.kind, Verdict: "applied", BodySHA256: f.digest()}
	}
	facts[0].prompt, facts[1].prompt = true, false
	other, dead := good(2), good(2)
	other.BodySHA256, dead.Verdict = facts[1].digest(), "dead_lettered"
	for name, c := range map[string]struct {
		recorded []eventItem
		wrong    int
	}{
		"complete":               {[]eventItem{good(0), good(1), good(2)}, 0},
		"sent again":             {[]eventItem{good(0), good(2), good(1)}, 0},
		"overtaken":              {[]eventItem{good(1), good(0), good(2)}, 1},
		"lost":                   {[]eventItem{good(0), good(1)}, 1},
		"twice":                  {[]eventItem{good(0), good(1), good(1), good(2)}, 1},
		"one instead of another": {[]eventItem{good(0), good(1), good(1)}, 2},
		"with another body":      {[]eventItem{good(0), good(1), other}, 1},
		"as a dead letter":       {[]eventItem{good(0), good(1), dead}, 1},
	} {
		if wrong := audit(facts, c.recorded); len(wrong) != c.wrong {
			t.Errorf("%s: audit() = %q, want %d defects", name, wrong, c.wrong)
		}
	}
}

// state is the state of an order or a dispute.
type state struct {
	kind       string
	minorUnits int64
}

func (l *load) wantStates(t *testing.T, c *cluster) {
	t.Helper()
	orders, disputes := make(map[string]state), make(map[string]state)
	for _, f := range l.sent {
		if f.dispute {
			disputes[f.order] = state{f.kind, f.minorUnits}
		} else {
			orders[f.order] = state{f.kind, f.minorUnits}
		}
	}
	for _, o := range list[orderItem](t, c, "/orders", nil) {
		wantState(t, "order", o.OrderID, state{o.Status, o.Amount.MinorUnits}, orders)
	}
	for _, d := range list[disputeItem](t, c, "/disputes", nil) {
		wantState(t, "dispute", d.DisputeID, state{d.Status, d.Amount.MinorUnits}, disputes)
	}
	for id := range orders {
		t.Errorf("order %s is missing", id)
	}
	for id := range disputes {
		t.Errorf("dispute %s is missing", id)
	}
}

// wantState compares the state of an order or a dispute, and deletes it from want.
func wantState(t *testing.T, what, id string, got state, want map[string]state) {
	t.Helper()
	if want, ok := want[id]; !ok || got != want {
		t.Errorf("%s %s is %+v, want %+v", what, id, got, want)
	}
	delete(want, id)
}
