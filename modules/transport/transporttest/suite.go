// Package transporttest is the conformance suite of the modes: what the ingest role
// can rely on in every mode, with one update or many in each call. The test of a mode
// writes a [Harness] and calls [Run].
package transporttest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// recovery is the time within which a client must succeed once its peer is back. It
// takes about 0.1 s on an idle machine, and 10 s with a client that has a backoff of
// its own.
const recovery = 8 * time.Second

// Harness opens links of one mode, in its batched or its unary form.
type Harness struct {
	// Verdict is what the client returns for an update that was delivered.
	Verdict payrelayv1.Verdict
	// Open starts a server or consumer that applies to far, and a client that is
	// connected to it. It stops both when the test ends.
	Open func(t *testing.T, far *FarSide) *Link
}

// Link is a client with its far side, and the faults that can be injected. A field is
// nil if the mode does not have that fault; the tests that need it do nothing then.
type Link struct {
	// Client is the client of the mode, without retries around it.
	Client payments.Applier
	// Close drains and closes the client.
	Close func() error
	// Restart stops the far side cleanly, and starts it again at the same address. It
	// returns the error of the stop.
	Restart func() error
	// Kill kills what the client is connected to. Revive starts it again at the same
	// address.
	Kill, Revive func()
	// Freeze makes what the client is connected to hang, with its connections open. If
	// it is nil, the suite blocks the far side instead.
	Freeze func() (thaw func())
	// Garbage sends bytes that are not an update, and waits until they are accepted,
	// not necessarily until they are processed.
	Garbage func(garbage []byte)
	// WantLetters means that garbage becomes a dead letter.
	WantLetters bool
}

// Run runs the suite on the links of a harness.
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

// link is a Link with its far side and its expected verdict.
type link struct {
	*Link
	far     *FarSide
	verdict payrelayv1.Verdict
}

// apply calls Apply with a timeout and returns its error. The test fails if Apply
// returns more than a second after the deadline, or with other verdicts.
func (l *link) apply(t *testing.T, within time.Duration, updates ...*payrelayv1.Update) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	start := time.Now()
	outcomes, err := l.Client.Apply(ctx, updates)
	if took := time.Since(start); took > within+time.Second {
		t.Errorf("Apply returned after %v, want at most its deadline of %v and a second", took, within)
	}
	if err != nil {
		return err
	}
	if len(outcomes) != len(updates) {
		t.Errorf("Apply returned %d outcomes for %d updates", len(outcomes), len(updates))
	}
	for i, outcome := range outcomes {
		if outcome.GetVerdict() != l.verdict {
			t.Errorf("outcome %d = %v, want %v", i, outcome.GetVerdict(), l.verdict)
		}
	}
	return nil
}

// mustApply calls Apply, which must succeed, and waits until the far side has the
// updates.
func (l *link) mustApply(t *testing.T, updates ...*payrelayv1.Update) {
	t.Helper()
	if err := l.apply(t, patience, updates...); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	l.far.waitApplied(t, ids(updates)...)
}

// eventually calls Apply until it succeeds, as a provider retries, and waits until the
// far side has the updates.
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
	t.Fatalf("Apply does not succeed again: %v", err)
}

func ids(updates []*payrelayv1.Update) []string {
	all := make([]string, len(updates))
	for i, update := range updates {
		all[i] = update.GetEventId()
	}
	return all
}

// Order returns a well-formed update of an order.
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

// batch returns n updates of a few orders and their disputes.
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

// Running is a call of a Run method in another goroutine.
type Running struct {
	// Cancel ends the context of Run.
	Cancel context.CancelFunc
	// Done receives what Run returns.
	Done chan error
}

// Start calls run in another goroutine.
func Start(run func(context.Context) error) *Running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{cancel, make(chan error, 1)}
	go func() { r.Done <- run(ctx) }()
	return r
}

// Stop ends the context of Run and returns what Run returned. A second call returns
// nil.
func (r *Running) Stop() error {
	r.Cancel()
	select {
	case err := <-r.Done:
		r.Done <- nil // for a second call
		return err
	case <-time.After(30 * time.Second):
		return errors.New("Run does not return")
	}
}

// Quiet returns a logger that discards everything, unless PAYRELAY_TEST_LOG is set and
// the test is verbose.
func Quiet() *slog.Logger {
	if testing.Verbose() && os.Getenv("PAYRELAY_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}
