package payments

import (
	"strconv"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// countingHistory returns a history of order updates, and a counter of the steps that
// its state machine takes from now on.
func countingHistory(events int) (*history[Order], *int) {
	steps := new(int)
	h := newHistory(Order{ID: "o1"}, func(o Order, u *payrelayv1.Update) (Order, payrelayv1.DeadLetterReason) {
		*steps++
		return stepOrder(o, u)
	})
	for i := range events {
		h.add(newEntry(updatedAt(2*i, "")), true)
	}
	*steps = 0
	return h, steps
}

func updatedAt(second int, user string) *Event {
	return &Event{Key: Key{Provider: "p", EventID: strconv.Itoa(second)}, Update: &payrelayv1.Update{
		OrderId: "o1", UserId: user, OccurredAt: timestamppb.New(time.Unix(int64(second), 0)),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_UPDATED}},
	}}
}

// The events that a store returns belong to the store, which may keep them.
func TestJudgingLeavesTheStoresEventsAlone(t *testing.T) {
	e := updatedAt(1, "")
	e.Verdict = payrelayv1.Verdict_VERDICT_APPLIED
	recorded := recordedEntry(e)
	recorded.judge(illegalStep)
	if e.Verdict != payrelayv1.Verdict_VERDICT_APPLIED || e.Reason != noReason || !recorded.refused() {
		t.Errorf("after judge, the event of the store is %v %v and the copy is %v", e.Verdict, e.Reason, recorded.Verdict)
	}
}

// A late event is folded only as far as it changes states. Otherwise a batch of late
// events in a long history could exceed its deadline on every attempt.
func TestALateEventIsFoldedAsFarAsItChangesStates(t *testing.T) {
	history, steps := countingHistory(1000)
	late := updatedAt(501, "")
	history.add(newEntry(late), true)
	if late.Verdict != payrelayv1.Verdict_VERDICT_STALE || *steps != 2 {
		t.Errorf("verdict = %v after %d steps, want STALE after 2", late.Verdict, *steps)
	}
	if len(history.entries) != 1001 || len(history.after) != 1001 {
		t.Errorf("%d entries and %d states, want 1001 each", len(history.entries), len(history.after))
	}

	*steps = 0
	late = updatedAt(301, "u1") // no other event has a user, so all later states change
	history.add(newEntry(late), true)
	if late.Verdict != payrelayv1.Verdict_VERDICT_APPLIED || history.State.UserID != "u1" || *steps != 1002-151 {
		t.Errorf("verdict = %v, user = %q after %d steps, want APPLIED, u1 after %d", late.Verdict, history.State.UserID, *steps, 1002-151)
	}

	*steps = 0
	late = updatedAt(5, "")
	late.Update.GetOrder().Status = payrelayv1.OrderStatus_ORDER_STATUS_CREATED
	history.add(newEntry(late), true)
	if late.Reason != illegalStep || *steps != 1 {
		t.Errorf("reason = %v after %d steps, want %v after 1", late.Reason, *steps, illegalStep)
	}
}

// After insertions, the states in after are those of a fold from the start.
func TestInsertKeepsTheStatesOfTheWholeHistory(t *testing.T) {
	history, _ := countingHistory(20)
	for i, second := range []int{39, 1, 17, 17, 3, 0, -5, 100} {
		e := updatedAt(second, []string{"", "u1", "u2"}[i%3])
		e.Key.Provider = "q" + strconv.Itoa(i)
		history.add(newEntry(e), true)
	}
	state := history.start
	for i, e := range history.entries {
		state, _ = stepOrder(state, e.Update)
		if history.after[i] != state {
			t.Fatalf("after[%d] = %+v, want %+v", i, history.after[i], state)
		}
	}
	if history.State != state {
		t.Errorf("State = %+v, want %+v", history.State, state)
	}
}
