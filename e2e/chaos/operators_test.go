package chaos

import (
	"fmt"
	"slices"
	"testing"

	"github.com/payrelay/payrelay/e2e/chaos/deployment"
	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/chaos/workload"
)

// letters returns the dead letters of some orders: each has one, and every third one two
// with the same reason.
func letters(orders int) (all []history.DeadLetter) {
	reasons := []string{"contradiction", "conflict", "unknown_status"}
	for number := range orders {
		for n := range 1 + (3-number%3)/3 {
			all = append(all, history.DeadLetter{ID: int64(len(all) + 1), Kind: "order", Order: history.OrderID(number),
				Event: fmt.Sprint(number, "-", n), Reason: reasons[number/3%len(reasons)]})
		}
	}
	return all
}

// TestDecide: every decision is in exactly one call, which signs it, no decision selects
// more than its dead letter, and everything is discarded before something is accepted.
func TestDecide(t *testing.T) {
	state := &history.State{DeadLetters: letters(60)}
	r := &run{history: new(history.History)}
	calls := r.decide(state)
	if decisions := r.history.Decisions; len(decisions) < 60 || len(decisions) >= len(state.DeadLetters) {
		t.Fatalf("decide() makes %d decisions about %d dead letters of 60 orders", len(decisions), len(state.DeadLetters))
	}
	called, ways, filters := make(map[int64]deployment.Call), make(map[deployment.Way]bool), 0
	accepting := false
	for _, c := range calls {
		ids := c.IDs
		if len(c.IDs) == 0 {
			filters++
			for _, l := range state.DeadLetters {
				if l.Reason == c.Reason && slices.Contains(c.Orders, l.Order) {
					ids = append(ids, l.ID)
				}
			}
			if c.Resolution != history.Discarded || len(ids) != len(c.Orders) {
				t.Errorf("the call %+v selects the dead letters %v, want one of each order, to discard it", c, ids)
			}
		}
		for _, id := range ids {
			if _, twice := called[id]; twice {
				t.Errorf("two calls are about the dead letter %d", id)
			}
			called[id] = c
		}
		if accepting = accepting || c.Resolution == history.Accepted; accepting && c.Resolution != history.Accepted {
			t.Errorf("the call %+v comes after one that accepts", c)
		}
		ways[c.Way] = true
	}
	for _, d := range r.history.Decisions {
		if c := called[d.Letter.ID]; c.By == "" || c.By != d.By || c.Why != d.Why || c.Resolution != d.Resolution {
			t.Errorf("the decision %+v is carried out by %+v", d, c)
		}
	}
	if len(called) != len(r.history.Decisions) || !accepting || filters == 0 || len(ways) != deployment.Ways {
		t.Errorf("%d of %d decisions are called, %d calls have filters, the ways are %v", len(called), len(r.history.Decisions), filters, ways)
	}
}

// TestIndependent: a decision may settle other dead letters of its order, also one that
// names another order by mistake.
func TestIndependent(t *testing.T) {
	all := letters(6)
	all = append(all, history.DeadLetter{ID: 100, Kind: "dispute", Order: history.OrderID(1) + workload.OtherOrder},
		history.DeadLetter{ID: 101}, history.DeadLetter{ID: 102, Kind: "order", Order: "o-9", Resolution: history.Discarded})
	r := &run{history: &history.History{Decisions: []history.Decision{{Letter: all[0]}, {Letter: all[2]}}}}
	for _, l := range r.independent(&history.State{DeadLetters: all}) {
		if l.ID >= 100 || l.Order == all[0].Order || l.Order == all[2].Order {
			t.Errorf("independent() has %+v, which a decision may settle, or which cannot be judged", l)
		}
	}
	if got := len(r.independent(&history.State{DeadLetters: all})); got != 5 {
		t.Errorf("independent() has %d dead letters, want 5", got)
	}
}
