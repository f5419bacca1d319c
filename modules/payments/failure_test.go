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

// rejectingStore is a store that refuses updates of one user.
type rejectingStore struct {
	*memory
	refused string
	batches []int // numbers of events in successful commits
}

func (p *rejectingStore) Commit(ctx context.Context, c *payments.Changes) error {
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

func newRejectingStore(t *testing.T) (*fixture, *rejectingStore) {
	b := newFixture(t)
	store := &rejectingStore{memory: b.store, refused: "mallory"}
	b.useStore(store)
	return b, store
}

// An update that the database refuses becomes a dead letter with all its data, and the
// other updates of its batch are applied.
func TestWhatTheStoreRefusesIsSetAside(t *testing.T) {
	b, store := newRejectingStore(t)
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
		t.Errorf("the other updates were committed in batches of %v", store.batches)
	}
	letters := b.store.openLetters()
	if len(letters) != 1 {
		t.Fatalf("%d dead letters, want 1", len(letters))
	}
	kept := new(payrelayv1.Update)
	if err := proto.Unmarshal(letters[0].Payload, kept); err != nil || !proto.Equal(kept, bad) || letters[0].Key != keyOf(bad) || letters[0].Detail == "" {
		t.Errorf("kept %+v: %v (%v)", letters[0], kept, err)
	}

	b.apply(updates...) // a redelivery adds nothing
	b.wantOpen(1)
	if _, err := b.Replay(t.Context(), 1, "ann", "try again"); !errors.Is(err, payments.ErrUnstorable) {
		t.Errorf("Replay before the database was fixed = %v", err)
	}
	b.wantOpen(1)
	store.refused = "" // the database was fixed
	if outcome := b.replay(1); outcome.GetVerdict() != applied && outcome.GetVerdict() != stale {
		t.Errorf("Replay = %v, want applied", outcome)
	}
	b.wantOpen(0)
	b.wantSettled(payments.Replayed)
	if !b.store.events[keyOf(bad)].InHistory() {
		t.Error("the update is not in the history of its order")
	}
}

// An outage makes no dead letters, even if it begins in the middle of a batch.
func TestAnOutageSetsNothingAside(t *testing.T) {
	b, store := newRejectingStore(t)
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

// failingStore is a store whose selected methods fail.
type failingStore struct {
	payments.Store
	load, history, letter bool
}

func (b failingStore) Load(ctx context.Context, l payments.Lookup) (*payments.Snapshot, error) {
	if b.load {
		return nil, errBroken
	}
	return b.Store.Load(ctx, l)
}

func (b failingStore) History(ctx context.Context, of payments.Subjects, limit int) (*payments.Histories, error) {
	if b.history {
		return nil, errBroken
	}
	return b.Store.History(ctx, of, limit)
}

func (b failingStore) DeadLettersWith(ctx context.Context, ids []int64) ([]*payments.DeadLetter, error) {
	if b.letter {
		return nil, errBroken
	}
	return b.Store.DeadLettersWith(ctx, ids)
}

func TestAStoreThatFailsFailsTheBatch(t *testing.T) {
	late := []*payrelayv1.Update{order("e2", 1, orderUpdated), order("e1", 0, orderCreated)}
	for name, fail := range map[string]func(*memory) payments.Store{
		"load":    func(m *memory) payments.Store { return failingStore{Store: m, load: true} },
		"history": func(m *memory) payments.Store { return failingStore{Store: m, history: true} },
		"commit": func(m *memory) payments.Store {
			m.beforeCommit = func() error { return errBroken }
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemory(t)
			seed := payments.NewLedgerAt(store, func() time.Time { return today })
			if _, err := seed.Apply(t.Context(), []*payrelayv1.Update{order("e9", 9, orderUpdated)}); err != nil {
				t.Fatal(err)
			}
			outcomes, err := payments.NewLedger(fail(store)).Apply(t.Context(), late)
			if !errors.Is(err, errBroken) || outcomes != nil {
				t.Errorf("got %v and error %v, want the store's error", outcomes, err)
			}
			if len(store.events) != 1 {
				t.Errorf("%d events after a failure, want 1", len(store.events))
			}
		})
	}
}

func TestTheLedgerJudgesAgainAfterARace(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderCreated))
	rival := payments.NewLedgerAt(b.store, func() time.Time { return today })
	b.store.beforeCommit = func() error {
		b.store.beforeCommit = nil
		_, err := rival.Apply(t.Context(), []*payrelayv1.Update{order("e2", 1, orderSuccess), order("e4", 3, orderSuccess)})
		return err
	}
	// Before the rival's commit, e3 would be applied and e4 would be new.
	got := b.apply(order("e3", 2, orderFailed), order("e4", 3, orderSuccess))
	wantOutcomes(t, got, refused(contradiction), verdict(duplicate))
	if o := b.store.order("o1"); o.Status != orderSuccess || len(b.store.events) != 4 {
		t.Errorf("status %v with %d events", o.Status, len(b.store.events))
	}
}

// A second attempt does not depend on the verdicts of the first.
func TestVerdictsOfAnAttemptThatRacedAreForgotten(t *testing.T) {
	late := order("late", 10, orderUpdated, user("u1"))
	for name, judge := range map[string]func(b *fixture) *payrelayv1.Outcome{
		"apply":  func(b *fixture) *payrelayv1.Outcome { return b.apply(late)[0] },
		"replay": func(b *fixture) *payrelayv1.Outcome { return b.replay(1) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			if name == "replay" {
				b.now = noon.Add(-48 * time.Hour) // by this clock it is in the future
				wantOutcomes(t, b.apply(late), refused(futureTime))
				b.now = today
			}
			b.apply(order("e0", 0, orderCreated), order("e2", 20, orderUpdated, user("u2"), amount(5, "EUR")))
			b.store.beforeCommit = func() error {
				b.store.beforeCommit = nil
				b.apply(order("e1", 15, orderSuccess, amount(5, "USD"))) // refuses e2, so that late is no longer stale
				return nil
			}
			wantOutcomes(t, []*payrelayv1.Outcome{judge(b)}, verdict(applied))
			b.wantRecorded(map[string]*payrelayv1.Outcome{"late": verdict(applied), "e2": refused(currencyMismatch)})
			if o := b.store.order("o1"); o.UserID != "u1" {
				t.Errorf("order %+v", o)
			}
		})
	}

	b := newFixture(t)
	b.apply(order("e1", 10, orderSuccess))
	failed := order("e2", 20, orderFailed)
	b.store.beforeCommit = func() error {
		b.store.beforeCommit = nil
		b.apply(failed)
		return nil
	}
	wantOutcomes(t, b.apply(failed), verdict(duplicate))

	b.store.beforeCommit = func() error { b.store.beforeCommit = nil; return payments.ErrRaced }
	bad := order("", 0, orderCreated)
	b.apply(bad, bad, order("e1", 10, orderCanceled), order("e1", 10, orderCanceled))
	for _, letter := range b.store.openLetters()[1:] {
		if letter.Deliveries != 2 {
			t.Errorf("dead letter %+v, want 2 deliveries", letter)
		}
	}
}

func TestTwoOrdersRaceForOneDispute(t *testing.T) {
	b := newFixture(t)
	rival := payments.NewLedgerAt(b.store, func() time.Time { return today })
	b.store.beforeCommit = func() error {
		b.store.beforeCommit = nil
		_, err := rival.Apply(t.Context(), []*payrelayv1.Update{dispute("e1", -1, disputeOpen, disputeID("d1"))})
		return err
	}
	got := b.apply(dispute("e2", 0, disputeOpen, of("o2"), disputeID("d1")))
	wantOutcomes(t, got, refused(orderMismatch))
	if owner := b.store.dispute("d1").OrderID; owner != "o1" {
		t.Errorf("the dispute belongs to order %q, want o1", owner)
	}
}

func TestTheLedgerGivesUpAfterTenRaces(t *testing.T) {
	b := newFixture(t)
	tries := 0
	b.store.beforeCommit = func() error { tries++; return payments.ErrRaced }
	_, err := b.Apply(t.Context(), []*payrelayv1.Update{order("e1", 0, orderCreated)})
	if !errors.Is(err, payments.ErrRaced) || tries != 10 {
		t.Errorf("error %v after %d tries, want ErrRaced after 10", err, tries)
	}
}

func TestACommitThatOnlyLooksFailedIsADuplicateOnResend(t *testing.T) {
	b := newFixture(t)
	batch := []*payrelayv1.Update{order("e1", 0, orderSuccess), order("e2", 1, orderFailed), order("", 0, orderCreated)}
	b.store.afterCommit = func() error { b.store.afterCommit = nil; return context.DeadlineExceeded }
	if _, err := b.Apply(t.Context(), batch); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v, want a deadline", err)
	}
	wantOutcomes(t, b.apply(batch...), verdict(duplicate), verdict(duplicate), refused(undecodable))
	if len(b.store.events) != 2 || len(b.store.letters) != 2 {
		t.Errorf("%d events and %d dead letters, want 2 and 2", len(b.store.events), len(b.store.letters))
	}
}
