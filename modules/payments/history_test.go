package payments

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// counted returns a history of order updates and a counter of the steps of its state
// machine.
func counted(events int) (*history[Order], *int) {
	steps := new(int)
	m := *orderMachine
	m.step = func(o Order, u *payrelayv1.Update, forced bool) (Order, payrelayv1.DeadLetterReason) {
		*steps++
		return stepOrder(o, u, forced)
	}
	h := newHistory(&m, Order{ID: "o1"}, nil, &defaultLimits)
	for i := range events {
		h.record(newEntry(updatedAt(2*i, "")))
	}
	*steps = 0
	return h, steps
}

func updatedAt(second int, user string) *Event {
	return &Event{Key: Key{Source: "p", Kind: KindOrder, EventID: strconv.Itoa(second)}, Update: &payrelayv1.Update{
		OrderId: "o1", UserId: user, OccurredAt: timestamppb.New(time.Unix(int64(second), 0)),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_UPDATED}},
	}}
}

// Judging must not modify an event that a store returned and may share.
func TestJudgingLeavesTheStoresEventsAlone(t *testing.T) {
	e := updatedAt(1, "")
	e.Verdict = payrelayv1.Verdict_VERDICT_APPLIED
	recorded := recordedEntry(e)
	recorded.judge(payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION)
	if e.Verdict != payrelayv1.Verdict_VERDICT_APPLIED || e.Reason != noReason || !recorded.refused() {
		t.Errorf("the store's event became %v %v, the history's %v", e.Verdict, e.Reason, recorded.Verdict)
	}
}

// A late event is folded only as far as it changes the state. Otherwise a batch of late
// events in a long history could always exceed its deadline.
func TestALateEventIsFoldedAsFarAsItMatters(t *testing.T) {
	history, steps := counted(1000)
	late := updatedAt(501, "")
	history.record(newEntry(late))
	if late.Verdict != payrelayv1.Verdict_VERDICT_STALE || *steps != 2 {
		t.Errorf("%v after %d steps, want stale after its own and the next", late.Verdict, *steps)
	}
	if len(history.entries) != 1001 || len(history.after) != 1001 {
		t.Errorf("%d entries and %d states, want 1001 each", len(history.entries), len(history.after))
	}

	*steps = 0
	late = updatedAt(301, "u1") // no other event names a user, so all later states change
	history.record(newEntry(late))
	if late.Verdict != payrelayv1.Verdict_VERDICT_APPLIED || history.State.UserID != "u1" || *steps != 1002-151 {
		t.Errorf("%v, user %q after %d steps, want applied to the end", late.Verdict, history.State.UserID, *steps)
	}

	// A failure after the success at the end of the history names no part.
	*steps = 0
	success := updatedAt(5000, "")
	success.Update.GetOrder().Status = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
	history.record(newEntry(success))
	history.record(newEntry(updatedAt(5010, "")))
	*steps = 0
	late = updatedAt(5005, "")
	late.Update.GetOrder().Status = payrelayv1.OrderStatus_ORDER_STATUS_FAILED
	history.record(newEntry(late))
	if late.Reason != payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION || *steps != 1 {
		t.Errorf("%v after %d steps, want it refused after its own", late.Reason, *steps)
	}
}

// The kept states are equal to those of a fold from the start.
func TestInsertKeepsTheStatesOfTheWholeHistory(t *testing.T) {
	history, _ := counted(20)
	for i, second := range []int{39, 1, 17, 17, 3, 0, -5, 100} {
		e := updatedAt(second, []string{"", "u1", "u2"}[i%3])
		e.Key.Source = "q" + strconv.Itoa(i)
		history.record(newEntry(e))
	}
	state := history.start
	for i, e := range history.entries {
		state, _ = stepOrder(state, e.Update, false)
		if history.after[i] != state {
			t.Fatalf("state %d is %+v, want %+v", i, history.after[i], state)
		}
	}
	if history.State != state {
		t.Errorf("state %+v, want %+v", history.State, state)
	}
}

func TestEveryReasonIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/payments.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range DeadLetterReasons.All() {
		if !strings.Contains(string(page), "\n| `"+name+"` |") {
			t.Errorf("the table of reasons in docs/payments.md does not have %s", name)
		}
	}
}

func TestEveryReasonIsInTheTable(t *testing.T) {
	for number, name := range payrelayv1.DeadLetterReason_name {
		reason := payrelayv1.DeadLetterReason(number)
		properties, known := reasons[reason]
		if known != (reason != noReason) {
			t.Errorf("reasons[%s] exists: %v", name, known)
		}
		if known && properties.detail == "" {
			t.Errorf("reasons[%s] has no detail", name)
		}
		if known && !strings.Contains(properties.settle, " ID ") {
			t.Errorf("reasons[%s] does not tell how to settle a dead letter", name)
		}
		if properties.whole && properties.inHistory {
			t.Errorf("reasons[%s] has both whole and inHistory set", name)
		}
	}
}

// An older release did not read all facts of a webhook. A redelivery of the same body
// is a duplicate.
func TestSameBodyOfAnEventOfAnOlderRelease(t *testing.T) {
	for _, test := range []struct {
		body string
		want payrelayv1.Verdict
	}{
		{"body", payrelayv1.Verdict_VERDICT_DUPLICATE},
		{"another body", payrelayv1.Verdict_VERDICT_DEAD_LETTERED},
	} {
		u := orderUpdate("e1", 1, "success")
		u.RawBody = []byte(test.body)
		body := Digest(BodyDigest(&payrelayv1.Update{RawBody: []byte("body")}))
		b := newBatch([]*payrelayv1.Update{u}, time.Unix(100, 0), &defaultLimits)
		b.judge(&Snapshot{Recorded: map[Key]Recorded{keyOf(u): {Facts: Digest{1}, Body: &body, InHistory: true}}}, new(Histories))
		if got := b.outcomes()[0].GetVerdict(); got != test.want {
			t.Errorf("the body %q: %v, want %v", test.body, got, test.want)
		}
	}
}
