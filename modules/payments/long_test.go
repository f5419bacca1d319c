package payments_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// longOrder records n updates of order "o1", two seconds apart, in batches.
func longOrder(b *fixture, n int) []*payrelayv1.Update {
	b.t.Helper()
	updates := make([]*payrelayv1.Update, n)
	for i := range updates {
		updates[i] = order(fmt.Sprint("e", i), 2*i, orderUpdated, amount(int64(i), "USD"), user("u1"))
	}
	for batch := range slices.Chunk(updates, 64) {
		b.apply(batch...)
	}
	return updates
}

func TestALateUpdateReadsOnePageOfALongHistory(t *testing.T) {
	b := newFixture(t)
	updates := longOrder(b, 5000)
	if n := len(b.store.checkpoints[payments.Subject{Order: "o1"}]); n < 15 || n > 20 {
		t.Errorf("%d checkpoints of 5000 events, want one for every 256", n)
	}
	for _, second := range []int{1, 5001, 9997} {
		b.store.histories, b.store.pages, b.store.pageEvents = 0, 0, 0
		late := order(fmt.Sprint("late", second), second, orderUpdated, amount(7, "USD"), user("u1"))
		wantOutcomes(t, b.apply(late), verdict(stale))
		if updates = append(updates, late); b.store.histories > 0 || b.store.pages != 1 || b.store.pageEvents > 512 {
			t.Errorf("late by %d seconds: %d whole histories and %d pages of %d events were read, want 1 page", second,
				b.store.histories, b.store.pages, b.store.pageEvents)
		}
	}
	wantOracleResult(t, b.store, updates)
}

// A sender's clock may have seconds only, so that a checkpoint is mostly due within one.
func TestALongHistoryHasCheckpointsBetweenItsInstants(t *testing.T) {
	b := newFixture(t)
	var updates []*payrelayv1.Update
	for i := range 8000 {
		updates = append(updates, order(fmt.Sprintf("e%05d", i), i/100, orderUpdated, amount(int64(i), "USD"), user("u1")))
	}
	for batch := range slices.Chunk(updates, 64) {
		b.apply(batch...)
	}
	if n := len(b.store.checkpoints[payments.Subject{Order: "o1"}]); n < 18 || n > 31 {
		t.Errorf("%d checkpoints of 8000 events, want one for every 256 to 400", n)
	}
	wantOracleResult(t, b.store, updates)
}

// The first update of an order determines when it was created, which is a part of all
// states that follow.
func TestTheFirstUpdateOfALongHistoryMayBeLate(t *testing.T) {
	b := newFixture(t)
	updates := longOrder(b, 3000)
	b.store.pages = 0
	late := order("first", -10, orderCreated, amount(1, "USD"), user("u1"))
	wantOutcomes(t, b.apply(late), verdict(applied))
	if b.store.pages != 1 || !b.store.order("o1").CreatedAt.Equal(noon.Add(-10*time.Second)) {
		t.Errorf("created at %v after %d pages, want 10 seconds before noon after 1", b.store.order("o1").CreatedAt, b.store.pages)
	}
	late2 := order("second", 3001, orderUpdated)
	b.apply(late2)
	wantOracleResult(t, b.store, append(updates, late, late2))
}

// A late update that changes all later states is folded in several commits, and updates of
// other orders do not wait for them.
func TestAChangeOfTheWholeHistoryIsFoldedInSeveralCommits(t *testing.T) {
	b := newFixture(t)
	b.Limit(64, 32, 64, 256)
	updates := longOrder(b, 2000)
	late := order("late", 1, orderUpdated, partOf("p9"), captured(5, "USD"))
	other := order("other", 1, orderCreated, of("o2"))
	b.store.commits = 0
	outcomes := b.apply(late, other)
	wantOutcomes(t, outcomes, verdict(applied), verdict(applied))
	if b.store.commits < 2000/256 || b.store.commits > 2000/256+4 {
		t.Errorf("%d commits, want about %d", b.store.commits, 2000/256)
	}
	wantOracleResult(t, b.store, append(updates, late, other))
}

// If the process is killed between two commits, the next operation on the order continues
// the fold.
func TestAFoldThatWasInterruptedGoesOn(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		b := newFixture(t)
		b.Limit(16, 8, 16, 32)
		updates := longOrder(b, 500)
		late := order("late", 1, orderUpdated, partOf("p9"), captured(5, "USD"))
		left := 1 + rng.IntN(10)
		b.store.afterCommit = func() error {
			if left--; left == 0 {
				return errBroken
			}
			return nil
		}
		if _, err := b.Apply(t.Context(), []*payrelayv1.Update{late}); !errors.Is(err, errBroken) {
			t.Fatalf("Apply: error %v, want that of the store", err)
		}
		b.store.afterCommit = nil
		before := b.store.commits
		again := late
		if seed%2 == 0 { // another update of the order continues the fold too
			again = order("again", 5000, orderUpdated)
			updates = append(updates, again)
		}
		b.apply(again)
		if b.store.commits-before > 18 {
			t.Errorf("%d commits after the interruption, want only the rest", b.store.commits-before)
		}
		wantOracleResult(t, b.store, append(updates, late))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// slowOrder is a store that fails to read the long history of one order.
type slowOrder struct {
	payments.Store
	order string
}

var errSlow = errors.New("canceling statement due to statement timeout")

func (s slowOrder) HistoryPage(ctx context.Context, of payments.Subject, from time.Time, limit int) (*payments.HistoryPage, error) {
	if of.Order == s.order {
		return nil, errSlow
	}
	return s.Store.HistoryPage(ctx, of, from, limit)
}

func TestALongHistoryThatCannotBeReadHoldsUpNoOtherOrder(t *testing.T) {
	b := newFixture(t)
	longOrder(b, 600)
	b.useStore(slowOrder{b.store, "o1"})
	others := make([]*payrelayv1.Update, 10)
	for i := range others {
		others[i] = order(fmt.Sprint("x", i), i, orderCreated, of(fmt.Sprint("other", i)))
	}
	batch := slices.Insert(slices.Clone(others), 3, order("late", 1, orderUpdated))
	if _, err := b.Apply(t.Context(), batch); !errors.Is(err, errSlow) {
		t.Errorf("Apply: error %v, want that of the store", err)
	}
	for i := range others {
		if b.store.order(fmt.Sprint("other", i)).Status != orderCreated {
			t.Errorf("order other%d was not applied", i)
		}
	}
}

// An operator's decisions change a long history like late updates do.
func TestDecisionsInALongHistory(t *testing.T) {
	b := newFixture(t)
	updates := longOrder(b, 3000)
	success := order("success", 1001, orderSuccess, amount(500, "USD"))
	failed := order("failed", 3001, orderFailed)
	b.apply(success)
	wantOutcomes(t, b.apply(failed), refused(contradiction))
	b.wantOrder(orderSuccess)
	letters := b.store.openLetters()
	if len(letters) != 1 {
		t.Fatalf("%d open dead letters, want 1", len(letters))
	}
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(letters[0].ID)}, refused(contradiction))
	wantOutcomes(t, []*payrelayv1.Outcome{b.accept(letters[0].ID)}, verdict(applied))
	updates = append(updates, success, failed)
	wantOracleResult(t, b.store, updates)

	second := order("failed2", 1003, orderFailed)
	wantOutcomes(t, b.apply(second), refused(contradiction))
	b.discard(b.store.openLetters()[0].ID)
	wantOracleResult(t, b.store, append(updates, second))
}

// A long history of older rules is folded again in pages, and then has checkpoints.
func TestALongHistoryOfOlderRules(t *testing.T) {
	b := newFixture(t)
	updates := longOrder(b, 3000)
	b.Limit(64, 32, 64, 256)
	b.store.forgetRules()
	clear(b.store.checkpoints)
	next := order("next", 9000, orderSuccess)
	if _, err := b.Judge(t.Context(), 1); !errors.Is(err, payments.ErrNotFound) {
		t.Errorf("Judge: error %v, want that there is no dead letter", err)
	}
	wantOutcomes(t, b.apply(next), verdict(applied))
	if n := len(b.store.checkpoints[payments.Subject{Order: "o1"}]); n < 3000/64 {
		t.Errorf("%d checkpoints of 3000 events, want at least %d", n, 3000/64)
	}
	wantOracleResult(t, b.store, append(updates, next))
}

// The histories that are read for one batch are limited to save memory.
func TestABatchOfManyHistoriesIsDivided(t *testing.T) {
	b := newFixture(t)
	b.Limit(100, 32, 64, 200)
	var updates []*payrelayv1.Update
	for i := range 400 {
		updates = append(updates, order(fmt.Sprint("e", i), 10+i, orderUpdated, of(fmt.Sprint("o", i%8))))
	}
	b.apply(updates...)
	var late []*payrelayv1.Update
	for i := range 8 {
		late = append(late, order(fmt.Sprint("late", i), i, orderUpdated, of(fmt.Sprint("o", i))))
	}
	b.store.largestHistory = 0
	b.apply(late...)
	if b.store.largestHistory > 200 {
		t.Errorf("%d events were read at once, want at most 200", b.store.largestHistory)
	}
	wantOracleResult(t, b.store, append(updates, late...))
}

// A batch of one long order is divided only as far as its late updates require.
func TestABatchOfOneLongOrder(t *testing.T) {
	b := newFixture(t)
	updates := longOrder(b, 600)
	batch := make([]*payrelayv1.Update, 64)
	for i := range batch {
		batch[i] = order(fmt.Sprint("new", i), 2000+i, orderUpdated)
	}
	batch[20] = order("late", 3, orderUpdated)
	b.store.commits = 0
	b.apply(batch...)
	if b.store.commits > 8 {
		t.Errorf("%d commits, want 7: the late update alone, and the others in groups", b.store.commits)
	}
	wantOracleResult(t, b.store, append(updates, batch...))
}

func TestARaceThatIsNeverWonDividesTheBatch(t *testing.T) {
	b := newFixture(t)
	b.store.beforeCommitOf = func(c *payments.Changes) error {
		if len(c.Orders) > 1 {
			return payments.ErrRaced // another process keeps writing one of them
		}
		return nil
	}
	updates := []*payrelayv1.Update{order("e1", 1, orderCreated), order("e2", 1, orderCreated, of("o2")), order("e3", 1, orderCreated, of("o3"))}
	b.apply(updates...)
	wantOracleResult(t, b.store, updates)
}
