package payments_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
)

// Several ledgers write long histories, each a part of the updates and some of those of
// the others, in batches, while commits fail before and after the fact, an operator
// decides, and the rules change.
func TestLedgersThatRaceInLongHistoriesEndTheSame(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 21))
		updates := oracle.RandomHistory(rng, "", 40+rng.IntN(120))
		store := newMemory(t)
		var mu sync.Mutex
		fail := rand.New(rand.NewPCG(seed, 22))
		chance := func(n int) bool {
			mu.Lock()
			defer mu.Unlock()
			return fail.IntN(n) == 0
		}
		store.beforeCommit = func() error {
			if chance(8) {
				return errBroken
			}
			return nil
		}
		store.afterCommit = func() error {
			if chance(8) {
				return errBroken
			}
			return nil
		}
		l := [4]int{1 + rng.IntN(16), 1 + rng.IntN(8), 1 + rng.IntN(8), 1 + rng.IntN(16)}
		var senders sync.WaitGroup
		for sender := range uint64(3) {
			senders.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 30+sender))
				mine := slices.Clone(updates)
				rng.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
				ledger := payments.NewLedgerAt(store, func() time.Time { return today })
				ledger.Limit(l[0], l[1], l[2], l[3])
				for len(mine) > 0 {
					n := min(len(mine), 1+rng.IntN(16))
					untilBatchDone(t, ledger, mine[:n])
					mine = mine[n:]
					if rng.IntN(10) == 0 {
						store.forgetRules()
					}
					if rng.IntN(4) == 0 {
						store.loseCheckpoints(rng)
					}
					if open := store.openLetters(); len(open) > 0 && rng.IntN(2) == 0 {
						decideOnce(t, rng, ledger, open[rng.IntN(len(open)):])
					}
				}
			})
		}
		senders.Wait()
		store.beforeCommit, store.afterCommit = nil, nil
		// Whatever was left pending is finished by whoever touches it next.
		b := newFixture(t)
		b.store = store
		b.useStore(store)
		b.Limit(l[0], l[1], l[2], l[3])
		b.apply(updates...)
		wantOracleResult(t, store, updates)
		if t.Failed() {
			t.Fatalf("seed %d, limits %v", seed, l)
		}
	}
}

func untilBatchDone(t *testing.T, ledger *payments.Ledger, batch []*payrelayv1.Update) {
	for {
		_, err := ledger.Apply(context.Background(), batch)
		if err == nil {
			return
		}
		if !errors.Is(err, payments.ErrRaced) && !errors.Is(err, errBroken) {
			t.Error(err)
			return
		}
	}
}

func decideOnce(t *testing.T, rng *rand.Rand, ledger *payments.Ledger, letters []*payments.DeadLetter) {
	ids := make([]int64, len(letters))
	for i, letter := range letters {
		ids[i] = letter.ID
	}
	d := payments.Decision{Resolution: resolutions[rng.IntN(3)], By: "ann", Why: "a test"}
	results, err := ledger.Decide(context.Background(), ids, d)
	if err != nil && !errors.Is(err, payments.ErrRaced) && !errors.Is(err, errBroken) {
		t.Error(err)
	}
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, payments.ErrSettled) {
			t.Errorf("%s %d: %v", d.Resolution, r.ID, r.Err)
		}
	}
}

// loseCheckpoints loses some of the checkpoints, which a store may do.
func (m *memory) loseCheckpoints(rng *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for of, checkpoints := range m.checkpoints {
		m.checkpoints[of] = slices.DeleteFunc(checkpoints, func(payments.Checkpoint) bool { return rng.IntN(2) == 0 })
	}
}

// Late updates of one long history are applied together where they are near to each
// other and leave the state as it is. Those that change it have verdicts of their own.
func TestLateUpdatesOfALongHistoryAreAppliedTogether(t *testing.T) {
	b := newFixture(t)
	updates := longOrder(b, 1500)
	near := make([]*payrelayv1.Update, 64)
	for i := range near {
		near[i] = order(fmt.Sprint("near", i), 1001+2*(i*37%64), orderUpdated, amount(1, "USD"), user("u1"))
	}
	b.store.commits, b.store.pages = 0, 0
	for i, outcome := range b.apply(near...) {
		wantOutcomes(t, []*payrelayv1.Outcome{outcome}, verdict(stale))
		if t.Failed() {
			t.Fatalf("update %d", i)
		}
	}
	if b.store.commits != 1 || b.store.pages > 2 {
		t.Errorf("%d commits after %d pages, want 1 commit", b.store.commits, b.store.pages)
	}
	far := []*payrelayv1.Update{
		order("far0", 1, orderUpdated, amount(1, "USD"), user("u1")),
		order("far1", 2903, orderUpdated, partOf("p9"), captured(5, "USD")),
		order("far2", 2905, orderUpdated, amount(1, "USD"), user("u1")),
	}
	wantOutcomes(t, b.apply(far...), verdict(stale), verdict(applied), verdict(stale))
	wantOracleResult(t, b.store, slices.Concat(updates, near, far))
}
