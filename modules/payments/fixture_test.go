package payments_test

import (
	"errors"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

// fixture is a ledger on a store in memory, with a clock that the test sets.
type fixture struct {
	*payments.Ledger
	store *memory
	now   time.Time
	t     testing.TB
}

func newFixture(t testing.TB) *fixture {
	b := &fixture{store: newMemory(t), now: today, t: t}
	b.useStore(b.store)
	return b
}

// useStore replaces the ledger by one that writes to another store.
func (b *fixture) useStore(store payments.Store) {
	b.Ledger = payments.NewLedgerAt(store, func() time.Time { return b.now })
}

// apply applies one batch, which must succeed.
func (b *fixture) apply(updates ...*payrelayv1.Update) []*payrelayv1.Outcome {
	b.t.Helper()
	outcomes, err := b.Apply(b.t.Context(), updates)
	if err != nil {
		b.t.Fatal(err)
	}
	return outcomes
}

// replay, accept and discard make the decision of an operator, which must succeed.
func (b *fixture) replay(id int64) *payrelayv1.Outcome {
	b.t.Helper()
	outcome, err := b.Replay(b.t.Context(), id, "ann", "try again")
	if err != nil {
		b.t.Fatal(err)
	}
	return outcome
}

func (b *fixture) accept(id int64) *payrelayv1.Outcome {
	b.t.Helper()
	outcome, err := b.Accept(b.t.Context(), id, "ann", "the bank says so")
	if err != nil {
		b.t.Fatal(err)
	}
	return outcome
}

func (b *fixture) discard(id int64) {
	b.t.Helper()
	if err := b.Discard(b.t.Context(), id, "ann", "a test payment"); err != nil {
		b.t.Fatal(err)
	}
}

// letterFrom stores the dead letter of an update that an older release could not read
// or whose schema it did not support.
func (b *fixture) letterFrom(u *payrelayv1.Update, reason payrelayv1.DeadLetterReason, digest payments.Digest) {
	b.t.Helper()
	payload, err := proto.Marshal(u)
	if err != nil {
		b.t.Fatal(err)
	}
	b.seed(&payments.Changes{DeadLetters: []*payments.DeadLetter{{
		Key: keyOf(u), Digest: digest, Reason: reason, Payload: payload, CreatedAt: noon, Deliveries: 1, LastAt: noon,
	}}})
}

func (b *fixture) seed(c *payments.Changes) {
	b.t.Helper()
	if err := b.store.Commit(b.t.Context(), c); err != nil {
		b.t.Fatal(err)
	}
}

func (b *fixture) wantOpen(n int) {
	b.t.Helper()
	if open := b.store.openLetters(); len(open) != n {
		b.t.Errorf("%d open dead letters, want %d", len(open), n)
	}
}

// wantSettled checks how and when the first dead letter was settled.
func (b *fixture) wantSettled(want payments.Resolution) {
	b.t.Helper()
	letter, err := b.store.DeadLetter(b.t.Context(), 1)
	if err != nil {
		b.t.Fatal(err)
	}
	if letter.Resolution != want || !letter.ResolvedAt.Equal(b.now) {
		b.t.Errorf("settled %q at %v, want %q at %v", letter.Resolution, letter.ResolvedAt, want, b.now)
	}
}

// wantRecorded checks the stored outcomes of events by their ids.
func (b *fixture) wantRecorded(want map[string]*payrelayv1.Outcome) {
	b.t.Helper()
	for id, outcome := range want {
		got := b.store.recorded(id)
		if got.GetVerdict() != outcome.GetVerdict() || got.GetReason() != outcome.GetReason() {
			b.t.Errorf("event %s is recorded as %v, want %v", id, got, outcome)
		}
	}
}

// wantOrder checks the status of order "o1".
func (b *fixture) wantOrder(want payrelayv1.OrderStatus) {
	b.t.Helper()
	if got := b.store.order("o1").Status; got != want {
		b.t.Errorf("the order is %v, want %v", got, want)
	}
}

// orderKey returns the key of an event about an order from the source "generic".
func orderKey(eventID string) payments.Key {
	return payments.Key{Source: "generic", Kind: payments.KindOrder, EventID: eventID}
}

// ahead sets the time of an update to a number of hours after the start of the
// ledger's clock.
func ahead(hours int) change {
	return func(u *payrelayv1.Update) { u.OccurredAt = at(3600 + hours*3600) }
}

var errBroken = errors.New("the disk is on fire")
