package chaos

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/deployment"
	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/chaos/workload"
	"github.com/payrelay/payrelay/internal/wait"
)

const (
	// decidedAtOnce and replayedAtOnce are the numbers of dead letters of one call.
	decidedAtOnce, replayedAtOnce = 4, 40
	// operatorKills is the number of processes that are killed while operators act.
	operatorKills = 6
	// operatorsTimeout is how long all calls may take, with the kills.
	operatorsTimeout = 2 * time.Minute
	// callAgain is the time before a call is repeated whose outcome is not known.
	callAgain = 50 * time.Millisecond
)

// operators decide dead letters while processes are killed, and repeat every call until it
// is answered.
type operators struct {
	*run
	calling chan time.Duration // how long the decision takes whose call has just begun
	replays map[int64]*history.Replay
}

// operate has one operator decide dead letters, and another one replay those that must stay
// open, while the processes that they need are killed. The same seed has the same decisions
// in every cell.
func (r *run) operate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, operatorsTimeout)
	defer cancel()
	state, err := r.deployment.State()
	if err != nil {
		return err
	}
	o := &operators{run: r, calling: make(chan time.Duration), replays: make(map[int64]*history.Replay)}
	calls := r.decide(state)
	independent := r.independent(state)
	decided := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { o.kill(decided) })
	others.Go(func() { o.replayUntil(ctx, decided, independent) })
	for _, c := range calls {
		unknown, _ := o.carryOut(ctx, c, false)
		for i := range r.history.Decisions {
			if d := &r.history.Decisions[i]; d.Why == c.Why {
				d.Unknown = unknown
			}
		}
		o.carryOut(ctx, byAnother(c), true)
	}
	close(decided)
	others.Wait()
	if state, err = r.deployment.State(); err != nil {
		return err
	}
	o.replay(ctx, open(state))
	for _, id := range slices.Sorted(maps.Keys(o.replays)) {
		r.history.Replays = append(r.history.Replays, *o.replays[id])
	}
	if ctx.Err() != nil {
		r.deployment.Complain("the calls of the operators were not answered within %s", operatorsTimeout)
	}
	return nil
}

// decide chooses what an operator decides: of each of the first orders one dead letter, and
// of one with a long history two. Those of a reason are discarded and accepted in turn. It
// returns the calls that carry the decisions out.
func (r *run) decide(state *history.State) []deployment.Call {
	numbers, left := make(map[string]int), make(map[string]int)
	for number := range workload.OperatedOrders {
		numbers[history.OrderID(number)], left[history.OrderID(number)] = number, 1
		if workload.IsLong(number) {
			left[history.OrderID(number)] = 2
		}
	}
	letters := slices.SortedFunc(slices.Values(state.DeadLetters), func(a, b history.DeadLetter) int {
		return cmp.Or(cmp.Compare(numbers[a.Order], numbers[b.Order]), -strings.Compare(a.Reason, b.Reason), strings.Compare(a.Key().String(), b.Key().String()))
	})
	turns := make(map[string]int)
	for _, l := range letters {
		if left[l.Order] == 0 || l.Resolution != "" {
			continue
		}
		left[l.Order]--
		turns[l.Reason]++
		d := history.Decision{Letter: l, Resolution: history.Discarded}
		// Accepting one may settle others, so it is the last of its order. It leaves an
		// unknown status as it is.
		if turns[l.Reason]%2 == 0 && left[l.Order] == 0 && l.Reason != "unknown_status" {
			d.Resolution = history.Accepted
		}
		r.history.Decisions = append(r.history.Decisions, d)
	}
	return r.calls(state)
}

// calls divides the decisions into calls, all discards before the first accept, and signs
// the decisions with the operator and the reason of their call. Dead letters that are
// discarded and the only open ones of their order with their reason are selected by
// filters: to discard one opens no other, so that a repeated call finds nothing more.
func (r *run) calls(state *history.State) (calls []deployment.Call) {
	type ofOrder struct{ order, reason string }
	alike := make(map[ofOrder]int)
	for _, l := range open(state) {
		alike[ofOrder{l.Order, l.Reason}]++
	}
	byFilter := make(map[string][]*history.Decision) // by reason
	var discards, accepts []*history.Decision
	for i := range r.history.Decisions {
		d := &r.history.Decisions[i]
		switch {
		case d.Resolution == history.Accepted:
			accepts = append(accepts, d)
		case i%2 == 0 && alike[ofOrder{d.Letter.Order, d.Letter.Reason}] == 1:
			byFilter[d.Letter.Reason] = append(byFilter[d.Letter.Reason], d)
		default:
			discards = append(discards, d)
		}
	}
	add := func(decisions []*history.Decision) *deployment.Call {
		n := len(calls)
		c := deployment.Call{Resolution: decisions[0].Resolution, Way: deployment.Way(n % deployment.Ways),
			By: fmt.Sprintf("operator %d", n%3), Why: fmt.Sprintf("the bank confirms it in letter %d", n)}
		for _, d := range decisions {
			d.By, d.Why = c.By, c.Why
			c.IDs = append(c.IDs, d.Letter.ID)
		}
		calls = append(calls, c)
		return &calls[n]
	}
	for _, reason := range slices.Sorted(maps.Keys(byFilter)) {
		c := add(byFilter[reason])
		c.IDs, c.Reason = nil, reason
		for _, d := range byFilter[reason] {
			c.Orders = append(c.Orders, d.Letter.Order)
		}
	}
	for _, all := range [][]*history.Decision{discards, accepts} {
		for decisions := range slices.Chunk(all, decidedAtOnce) {
			add(decisions)
		}
	}
	return calls
}

// open returns the dead letters that can be judged and wait for an operator.
func open(state *history.State) []history.DeadLetter {
	return slices.DeleteFunc(slices.Clone(state.DeadLetters), func(l history.DeadLetter) bool {
		return l.Resolution != "" || l.Kind == ""
	})
}

// independent returns the open dead letters that no decision can settle: those of other
// orders.
func (r *run) independent(state *history.State) []history.DeadLetter {
	decided := make(map[string]bool)
	for _, d := range r.history.Decisions {
		decided[mainOrder(d.Letter.Order)] = true
	}
	return slices.DeleteFunc(open(state), func(l history.DeadLetter) bool { return decided[mainOrder(l.Order)] })
}

// mainOrder returns the order whose dispute may name another order, such as o-7 for
// o-7-other.
func mainOrder(id string) string { return strings.TrimSuffix(id, workload.OtherOrder) }

// byAnother returns the same call by another operator, which must change nothing once the
// first is answered.
func byAnother(c deployment.Call) deployment.Call {
	c.By, c.Why, c.Way = "another operator", "just to be sure", deployment.ByService
	return c
}

// carryOut makes a call until it is answered. It returns the number of times that the call
// may have been carried out without an answer. repeats means that an answered call was about
// the same dead letters.
func (o *operators) carryOut(ctx context.Context, c deployment.Call, repeats bool) (unknown int, answered bool) {
	for ; ctx.Err() == nil; wait.Pause(ctx, callAgain) {
		if c.Resolution != history.Replayed {
			select {
			case o.calling <- took[c.Way]:
			default: // the last call is not over yet for the one that kills
			}
		}
		results, sent, err := o.deployment.Call(ctx, c)
		if err == nil {
			o.complain(c, results, repeats || unknown > 0)
			return unknown, true
		}
		if sent {
			unknown++
		}
	}
	return unknown, false
}

// complain complains about results that a call must not have. A call that is repeated may
// find that it was carried out before.
func (o *operators) complain(c deployment.Call, results []deployment.Result, repeated bool) {
	for _, result := range results {
		switch {
		case result.Skipped != "" && !repeated:
			o.deployment.Complain("%s dead letter %d was skipped: %s", history.Actions[c.Resolution], result.ID, result.Skipped)
		case result.Open != (c.Resolution == history.Replayed) && result.Skipped == "":
			o.deployment.Complain("%s dead letter %d left it open: %t", history.Actions[c.Resolution], result.ID, result.Open)
		}
	}
	if len(c.IDs) > 0 && len(results) != len(c.IDs) || len(c.IDs) == 0 && len(results) != len(c.Orders) && !repeated {
		o.deployment.Complain("%s of %d dead letters has %d results", history.Actions[c.Resolution], max(len(c.IDs), len(c.Orders)), len(results))
	}
}

// replayUntil replays dead letters again and again, and once more when decided is closed.
func (o *operators) replayUntil(ctx context.Context, decided <-chan struct{}, letters []history.DeadLetter) {
	for {
		o.replay(ctx, letters)
		select {
		case <-decided:
			return
		case <-time.After(callAgain):
		}
	}
}

// The operator who replays, and why.
const (
	replayer    = "operator of the night"
	replayedFor = "the rules may have changed"
)

// replay has dead letters judged again, and counts the calls about each.
func (o *operators) replay(ctx context.Context, letters []history.DeadLetter) {
	for some := range slices.Chunk(letters, replayedAtOnce) {
		c := deployment.Call{Resolution: history.Replayed, By: replayer, Why: replayedFor}
		for _, l := range some {
			c.IDs = append(c.IDs, l.ID)
		}
		unknown, answered := o.carryOut(ctx, c, false)
		for _, l := range some {
			if o.replays[l.ID] == nil {
				o.replays[l.ID] = &history.Replay{Letter: l, By: replayer, Why: replayedFor}
			}
			o.replays[l.ID].Unknown += unknown
			if answered {
				o.replays[l.ID].Answered++
			}
		}
	}
}

// took is how long a call takes by each way.
var took = map[deployment.Way]time.Duration{
	deployment.ByService: 6 * time.Millisecond, deployment.ByCommand: 80 * time.Millisecond, deployment.ByDatabase: 120 * time.Millisecond,
}

// kill kills the processes that operators need, each time while a call about a decision is
// in flight, until decided is closed.
func (o *operators) kill(decided <-chan struct{}) {
	for range operatorKills {
		var within time.Duration
		for range 1 + int(o.nemesis.Between(0, 4)) {
			select {
			case <-decided:
				return
			case within = <-o.calling:
			}
		}
		time.Sleep(o.nemesis.Between(0, within))
		o.nemesis.KillAmong("api-", "postgres")
		o.nemesis.AwaitBaseline(o.history.Baseline, baselineTimeout)
	}
}
