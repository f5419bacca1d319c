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

// refusingStore is a store that refuses the updates of one user.
type refusingStore struct {
	*memory
	refused string
	batches []int // the number of events of each successful commit
}

func (s *refusingStore) Commit(ctx context.Context, c *payments.Changes) error {
	for _, e := range c.Events {
		if e.Update.GetUserId() == s.refused {
			return fmt.Errorf("commit: %w: no such user", payments.ErrUnstorable)
		}
	}
	err := s.memory.Commit(ctx, c)
	if err == nil && len(c.Events) > 0 {
		s.batches = append(s.batches, len(c.Events))
	}
	return err
}

func newRefusingBench(t *testing.T) (*bench, *refusingStore) {
	b := newBench(t)
	store := &refusingStore{memory: b.store, refused: "mallory"}
	b.Ledger = payments.NewLedgerAt(store, func() time.Time { return b.now })
	return b, store
}

// An update that the store can never hold must not stop the rest of its batch and must
// not be lost: it becomes a dead letter with the whole update.
func TestAnUpdateThatTheStoreRefusesBecomesADeadLetter(t *testing.T) {
	b, store := newRefusingBench(t)
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
			t.Errorf("outcome %d = %v, want %v", i, outcome, want)
		}
	}
	if len(store.batches) > 7 {
		t.Errorf("the other updates were committed in batches of %v, want at most 7", store.batches)
	}
	letters := b.store.openLetters()
	if len(letters) != 1 {
		t.Fatalf("%d dead letters, want 1", len(letters))
	}
	kept := new(payrelayv1.Update)
	if err := proto.Unmarshal(letters[0].Payload, kept); err != nil || !proto.Equal(kept, bad) || letters[0].Key != keyOf(bad) || letters[0].Detail == "" {
		t.Errorf("dead letter = %+v with the payload %v (%v), want the whole update", letters[0], kept, err)
	}

	b.apply(updates...) // the second delivery finds the dead letter
	b.wantOpen(1)
	if _, err := b.Replay(t.Context(), 1); !errors.Is(err, payments.ErrUnstorable) {
		t.Errorf("Replay(1) while the store refuses = %v, want ErrUnstorable", err)
	}
	b.wantOpen(1)
	store.refused = "" // the database was fixed
	if outcome := b.replay(1); outcome.GetVerdict() != applied && outcome.GetVerdict() != stale {
		t.Errorf("Replay(1) = %v, want APPLIED or STALE", outcome)
	}
	b.wantOpen(0)
	b.wantSettled(payments.Replayed)
	if !b.store.events[keyOf(bad)].InHistory() {
		t.Error("the replayed event is not in the history of its order")
	}
}

// An error that is not ErrUnstorable makes no dead letter, also while the refused update
// is being found.
func TestAnOutageMakesNoDeadLetter(t *testing.T) {
	b, store := newRefusingBench(t)
	commits := 0
	b.store.beforeCommit = func() error {
		if commits++; commits > 1 {
			return errBroken
		}
		return nil
	}
	updates := []*payrelayv1.Update{order("e1", 1, orderCreated), order("e2", 2, orderUpdated), order("e3", 3, orderUpdated, user("mallory"))}
	if outcomes, err := b.Apply(t.Context(), updates); !errors.Is(err, errBroken) || outcomes != nil {
		t.Errorf("Apply() = %v, %v, want errBroken", outcomes, err)
	}
	b.wantOpen(0)
	b.store.beforeCommit = nil
	b.apply(updates...)
	b.wantOpen(1)
	if len(store.events) != 2 {
		t.Errorf("%d events, want 2", len(store.events))
	}
}
