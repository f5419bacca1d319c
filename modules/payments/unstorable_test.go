package payments_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

// picky is a store that refuses updates of a certain user.
type picky struct {
	*memory
	refused string
	batches []int // events in the commits that went through
}

func (p *picky) Commit(ctx context.Context, c *payments.Changes) error {
	for _, e := range c.Events {
		if e.Update.GetUserId() == p.refused {
			return fmt.Errorf("commit: %w: no such user", payments.ErrUnstorable)
		}
	}
	err := p.memory.Commit(ctx, c)
	if err == nil && len(c.Events) > 0 {
		p.batches = append(p.batches, len(c.Events))
	}
	return err
}

func newPicky(t *testing.T) (*bench, *picky) {
	b := newBench(t)
	store := &picky{memory: b.store, refused: "mallory"}
	b.Ledger = payments.NewLedgerAt(store, func() time.Time { return b.now })
	return b, store
}

// What the database can never take must neither stop what is beside it nor get
// lost: it becomes a dead letter with all that it says.
func TestWhatTheStoreRefusesIsSetAside(t *testing.T) {
	b, store := newPicky(t)
	updates := make([]*payrelayv1.Update, 64)
	for i := range updates {
		updates[i] = order(fmt.Sprintf("e%d", i), i, orderUpdated)
	}
	bad := updates[41]
	bad.UserId = "mallory"
	for i, outcome := range b.apply(updates...) {
		want := verdict(applied)
		if i == 41 {
			want = refused(unstorable)
		}
		if !proto.Equal(outcome, want) {
			t.Errorf("update %d is %v, want %v", i, outcome, want)
		}
	}
	if len(store.batches) > 7 {
		t.Errorf("the others came in batches of %v", store.batches)
	}
	letters := b.store.openLetters()
	if len(letters) != 1 {
		t.Fatalf("%d dead letters, want 1", len(letters))
	}
	kept := new(payrelayv1.Update)
	if err := proto.Unmarshal(letters[0].Payload, kept); err != nil || !proto.Equal(kept, bad) || letters[0].Key != keyOf(bad) || letters[0].Detail == "" {
		t.Errorf("kept %+v: %v (%v)", letters[0], kept, err)
	}

	b.apply(updates...) // sent again, it is there already
	b.wantOpen(1)
	if _, err := b.Replay(t.Context(), 1); !errors.Is(err, payments.ErrUnstorable) {
		t.Errorf("replayed too early: %v", err)
	}
	b.wantOpen(1)
	store.refused = "" // the database was mended
	if outcome := b.replay(1); outcome.GetVerdict() != applied && outcome.GetVerdict() != stale {
		t.Errorf("replayed as %v", outcome)
	}
	b.wantOpen(0)
	b.wantSettled(payments.Replayed)
	if !b.store.events[keyOf(bad)].InHistory() {
		t.Error("it is not in the history of its order")
	}
}

// An outage is no reason to set anything aside, not even in the middle.
func TestAnOutageSetsNothingAside(t *testing.T) {
	b, store := newPicky(t)
	commits := 0
	b.store.beforeCommit = func() error {
		if commits++; commits > 1 {
			return errBroken
		}
		return nil
	}
	updates := []*payrelayv1.Update{order("e1", 1, orderCreated), order("e2", 2, orderUpdated), order("e3", 3, orderUpdated, user("mallory"))}
	if outcomes, err := b.Apply(t.Context(), updates); !errors.Is(err, errBroken) || outcomes != nil {
		t.Errorf("got %v, %v, want the store's error", outcomes, err)
	}
	b.wantOpen(0)
	b.store.beforeCommit = nil
	b.apply(updates...)
	b.wantOpen(1)
	if len(store.events) != 2 {
		t.Errorf("%d events, want 2", len(store.events))
	}
}
