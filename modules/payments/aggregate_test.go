package payments

import (
	"strconv"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// counted returns a history of order updates, and the number of steps taken in it.
func counted(events int) (*history[Order], *int) {
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

// What a store hands out is the store's: it may keep its events.
func TestJudgingLeavesTheStoresEventsAlone(t *testing.T) {
	e := updatedAt(1, "")
	e.Verdict = payrelayv1.Verdict_VERDICT_APPLIED
	recorded := recordedEntry(e)
	recorded.judge(illegalStep)
	if e.Verdict != payrelayv1.Verdict_VERDICT_APPLIED || e.Reason != noReason || !recorded.refused() {
		t.Errorf("the store's event became %v %v, the book's %v", e.Verdict, e.Reason, recorded.Verdict)
	}
}

// A late event costs what it changes. Else a batch of late ones in a long
// history could take longer than its deadline, for ever.
func TestALateEventIsFoldedAsFarAsItMatters(t *testing.T) {
	history, steps := counted(1000)
	late := updatedAt(501, "")
	history.add(newEntry(late), true)
	if late.Verdict != payrelayv1.Verdict_VERDICT_STALE || *steps != 2 {
		t.Errorf("%v after %d steps, want stale after its own and the next", late.Verdict, *steps)
	}
	if len(history.entries) != 1001 || len(history.after) != 1001 {
		t.Errorf("%d entries and %d states, want 1001 each", len(history.entries), len(history.after))
	}

	*steps = 0
	late = updatedAt(301, "u1") // nobody else names a user: that changes all that follows
	history.add(newEntry(late), true)
	if late.Verdict != payrelayv1.Verdict_VERDICT_APPLIED || history.State.UserID != "u1" || *steps != 1002-151 {
		t.Errorf("%v, user %q after %d steps, want applied to the end", late.Verdict, history.State.UserID, *steps)
	}

	*steps = 0
	late = updatedAt(5, "")
	late.Update.GetOrder().Status = payrelayv1.OrderStatus_ORDER_STATUS_CREATED
	history.add(newEntry(late), true)
	if late.Reason != illegalStep || *steps != 1 {
		t.Errorf("%v after %d steps, want it refused after its own", late.Reason, *steps)
	}
}

// The states that are kept along the way are those that a fold from the start
// comes to.
func TestInsertKeepsTheStatesOfTheWholeHistory(t *testing.T) {
	history, _ := counted(20)
	for i, second := range []int{39, 1, 17, 17, 3, 0, -5, 100} {
		e := updatedAt(second, []string{"", "u1", "u2"}[i%3])
		e.Key.Provider = "q" + strconv.Itoa(i)
		history.add(newEntry(e), true)
	}
	state := history.start
	for i, e := range history.entries {
		state, _ = stepOrder(state, e.Update)
		if history.after[i] != state {
			t.Fatalf("state %d is %+v, want %+v", i, history.after[i], state)
		}
	}
	if history.State != state {
		t.Errorf("state %+v, want %+v", history.State, state)
	}
}
