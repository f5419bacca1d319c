// Package transporttest is the conformance suite of the transports: what a
// webhook's sender can rely on in every mode and both shapes. A new mode writes
// a [Harness] and calls [Run].
package transporttest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// recovery is how soon a client must get through once its peer is back. It takes
// about 0.1 s on an idle machine; a client that pauses on its own takes 10 s.
const recovery = 8 * time.Second

// Harness opens links of one mode and shape.
type Harness struct {
	// Verdict is what the client answers for an update that it got across.
	Verdict payrelayv1.Verdict
	// Open starts a far side that applies to far, and a client that is connected
	// to it. It stops what it started when the test ends.
	Open func(t *testing.T, far *FarSide) *Link
}

// Link is a client with its far side, and the ways to break it. A way that the
// mode does not know is nil, and the tests that need it do not exist for it.
type Link struct {
	// Client is the near end, without retries around it.
	Client payments.Applier
	// Close drains the near end.
	Close func() error
	// Restart stops the far side the way an operator does, and starts it again at
	// the same address. It returns what the stop returned.
	Restart func() error
	// Kill takes away what the client talks to, without a goodbye; Revive brings
	// it back at the same address.
	Kill, Revive func()
	// Freeze makes what the client talks to hang, with its connections open.
	// Every mode that has a wire can freeze; nil means that a blocked far side
	// does the same.
	Freeze func() (thaw func())
	// Garbage puts bytes that are no update on the wire and waits until they are
	// taken, not necessarily until they are dealt with.
	Garbage func(garbage []byte)
	// WantLetters says that garbage ends as a dead letter.
	WantLetters bool
}

// Run proves one mode in one shape.
func Run(t *testing.T, h Harness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *link)
	}{
		{"OneOutcomePerUpdate", oneOutcomePerUpdate},
		{"OrderPerKey", orderPerKey},
		{"DuplicatesPass", duplicatesPass},
		{"ContentArrivesUnchanged", contentArrivesUnchanged},
		{"Concurrency", concurrency},
		{"FarSideFails", farSideFails},
		{"PeerSlow", peerSlow},
		{"CallerLeaves", callerLeaves},
		{"PeerDown", peerDown},
		{"KillUnderLoad", killUnderLoad},
		{"RestartUnderLoad", restartUnderLoad},
		{"CloseUnderLoad", closeUnderLoad},
		{"Oversized", oversized},
		{"LargeBatch", largeBatch},
		{"Garbage", garbage},
	} {
		t.Run(test.name, func(t *testing.T) {
			far := newFarSide()
			test.run(t, &link{Link: h.Open(t, far), far: far, verdict: h.Verdict})
		})
	}
}

// link is a Link with what the tests need beside it.
type link struct {
	*Link
	far     *FarSide
	verdict payrelayv1.Verdict
}

// apply applies within the time or fails with the client's error. It returns no
// later than a second after the deadline, or the test fails.
func (l *link) apply(t *testing.T, within time.Duration, updates ...*payrelayv1.Update) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	start := time.Now()
	outcomes, err := l.Client.Apply(ctx, updates)
	if took := time.Since(start); took > within+time.Second {
		t.Errorf("Apply returned after %v, its deadline was %v", took, within)
	}
	if err != nil {
		return err
	}
	if len(outcomes) != len(updates) {
		t.Errorf("%d outcomes for %d updates", len(outcomes), len(updates))
	}
	for i, outcome := range outcomes {
		if outcome.GetVerdict() != l.verdict {
			t.Errorf("outcome %d is %v, want %v", i, outcome.GetVerdict(), l.verdict)
		}
	}
	return nil
}

// mustApply applies and waits until the far side has it.
func (l *link) mustApply(t *testing.T, updates ...*payrelayv1.Update) {
	t.Helper()
	if err := l.apply(t, patience, updates...); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	l.far.waitApplied(t, ids(updates)...)
}

// eventually sends again, as a provider does, until it is taken.
func (l *link) eventually(t *testing.T, updates ...*payrelayv1.Update) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if err = l.apply(t, 5*time.Second, updates...); err == nil {
			l.far.waitApplied(t, ids(updates)...)
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatalf("it never succeeds again: %v", err)
}

func ids(updates []*payrelayv1.Update) []string {
	all := make([]string, len(updates))
	for i, update := range updates {
		all[i] = update.GetEventId()
	}
	return all
}

// Order is an update of an order, dispute one of a dispute. They are complete,
// so that every far side finds them well-formed.
func Order(orderID, eventID string) *payrelayv1.Update {
	return &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: eventID, OrderId: orderID, UserId: "user-1",
		OccurredAt: timestamppb.New(time.Unix(1_767_000_000, 0)),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
			Status: payrelayv1.OrderStatus_ORDER_STATUS_CREATED,
			Amount: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"},
		}},
	}
}

func dispute(orderID, eventID string) *payrelayv1.Update {
	update := Order(orderID, eventID)
	update.Subject = &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN, Reason: "fraud"}}
	return update
}

// batch is n updates of a few orders and their disputes.
func batch(name string, n int) []*payrelayv1.Update {
	updates := make([]*payrelayv1.Update, n)
	for i := range updates {
		build := Order
		if i%4 == 3 {
			build = dispute
		}
		updates[i] = build(fmt.Sprintf("order-%d", i%7), fmt.Sprintf("%s-%04d", name, i))
	}
	return updates
}
