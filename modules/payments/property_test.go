package payments_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
)

// checkArrival applies the updates in this order to a new store and checks the result.
func checkArrival(t *testing.T, rng *rand.Rand, arrival []*payrelayv1.Update) {
	t.Helper()
	b := newFixture(t)
	applyInBatches(t, rng, b, arrival)
	wantOracleResult(t, b.store, arrival)
}

func TestEveryArrivalOfAShortHistory(t *testing.T) {
	for seed := range uint64(60) {
		length := 2 + int(seed%4)
		if seed%20 == 0 {
			length = 6
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		updates := oracle.RandomHistory(rng, "", length)
		permutations(length, func(places []int) {
			arrival := make([]*payrelayv1.Update, length)
			for i, at := range places {
				arrival[i] = updates[at]
			}
			checkArrival(t, rng, arrival)
			if t.Failed() {
				t.Fatalf("seed %d, arrival %v", seed, places)
			}
		})
	}
}

func TestSampledArrivalsOfALongHistory(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 2))
		updates := oracle.RandomHistory(rng, "", 7+rng.IntN(30))
		for range 8 {
			checkArrival(t, rng, updates)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
			rng.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
		}
	}
}

// flaky makes some commits fail: with ErrRaced, or with errBroken before or after
// the changes are written.
func flaky(rng *rand.Rand, m *memory) {
	m.beforeCommit = func() error {
		switch rng.IntN(6) {
		case 0, 1:
			return payments.ErrRaced
		case 2:
			return errBroken
		default:
			return nil
		}
	}
	m.afterCommit = func() error {
		if rng.IntN(4) == 0 {
			return errBroken
		}
		return nil
	}
}

func TestNothingIsLostOrDoubledByFailingCommits(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		updates := oracle.RandomHistory(rng, "", 2+rng.IntN(20))
		b := newFixture(t)
		flaky(rng, b.store)
		applyInBatches(t, rng, b, updates)
		wantOracleResult(t, b.store, updates)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// Several ledgers write all updates to one store, each in another order.
func TestLedgersThatRace(t *testing.T) {
	for seed := range uint64(30) {
		updates := oracle.RandomHistory(rand.New(rand.NewPCG(seed, 4)), "", 12)
		store := newMemory(t)
		var senders sync.WaitGroup
		for sender := range uint64(4) {
			senders.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 10+sender))
				mine := slices.Clone(updates)
				rng.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
				ledger := payments.NewLedgerAt(store, func() time.Time { return today })
				for _, u := range mine {
					if err := applyUntilNotRaced(ledger, u); err != nil {
						t.Error(err)
					}
				}
			})
		}
		senders.Wait()
		wantOracleResult(t, store, updates)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func applyUntilNotRaced(ledger *payments.Ledger, u *payrelayv1.Update) error {
	for {
		_, err := ledger.Apply(context.Background(), []*payrelayv1.Update{u})
		if !errors.Is(err, payments.ErrRaced) {
			return err
		}
	}
}

func FuzzArrival(f *testing.F) {
	for seed := range uint64(5) {
		f.Add(seed, uint8(10), false)
		f.Add(seed, uint8(3), true)
	}
	f.Fuzz(func(t *testing.T, seed uint64, length uint8, failing bool) {
		rng := rand.New(rand.NewPCG(seed, 5))
		updates := oracle.RandomHistory(rng, "", 1+int(length)%60)
		rng.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
		b := newFixture(t)
		if failing {
			flaky(rng, b.store)
		}
		applyInBatches(t, rng, b, updates)
		wantOracleResult(t, b.store, updates)
	})
}

// TestOracle compares the ledger with the oracle on random histories of 1 to 40
// updates, in random order of arrival and in batches of 1 to 64. Between the batches, an
// operator accepts, replays and discards dead letters, some at once, and the stored aggregates are marked as
// folded by older rules. Half of the ledgers treat a history of a few events as long.
// PAYRELAY_TEST_HISTORIES is the number of histories.
func TestOracle(t *testing.T) {
	histories := int64(10_000)
	if text := os.Getenv("PAYRELAY_TEST_HISTORIES"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatalf("PAYRELAY_TEST_HISTORIES: %v", err)
		}
		histories = n
	} else if testing.Short() {
		histories = 500
	}
	var next, accepted, discarded atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed <= histories && !t.Failed(); seed = next.Add(1) {
				a, d := compareHistory(t, uint64(seed))
				accepted.Add(int64(a))
				discarded.Add(int64(d))
			}
		})
	}
	workers.Wait()
	t.Logf("%d histories, in which %d dead letters were accepted and %d discarded", histories, accepted.Load(), discarded.Load())
	if histories >= 500 && (accepted.Load() < histories/4 || discarded.Load() < histories/20) {
		t.Error("too few dead letters were accepted or discarded")
	}
}

// compareHistory compares the ledger with the oracle on one history. It returns the
// number of dead letters that were accepted and discarded.
func compareHistory(t *testing.T, seed uint64) (accepted, discarded int) {
	rng := rand.New(rand.NewPCG(seed, 6))
	updates := oracle.RandomHistory(rng, "", 1+rng.IntN(40))
	rng.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
	b, size := newFixture(t), 1+rng.IntN(1<<rng.IntN(7))
	operator := rng.IntN(2) == 0
	if rng.IntN(2) == 0 { // a few events are a long history
		b.Limit(1+rng.IntN(8), 1+rng.IntN(4), 1+rng.IntN(4), 1+rng.IntN(8))
	}
	for batch := range slices.Chunk(updates, size) {
		if rng.IntN(8) == 0 {
			b.store.forgetRules()
		}
		b.apply(batch...)
		if rng.IntN(4) == 0 {
			b.apply(batch[rng.IntN(len(batch))]) // a duplicate
		}
		if operator && rng.IntN(2) == 0 {
			a, d := decideSome(t, rng, b)
			accepted, discarded = accepted+a, discarded+d
		}
	}
	wantOracleResult(t, b.store, updates)
	if t.Failed() {
		t.Errorf("seed %d", seed)
	}
	return accepted, discarded
}

// decideSome accepts, replays or discards some of the open dead letters in random order. It
// returns the number of those that were accepted and discarded.
func decideSome(t *testing.T, rng *rand.Rand, b *fixture) (accepted, discarded int) {
	var ids []int64
	for _, letter := range b.store.openLetters() {
		if rng.IntN(2) == 0 {
			ids = append(ids, letter.ID)
		}
	}
	rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	how := []payments.Resolution{payments.Accepted, payments.Accepted, payments.Accepted, payments.Discarded, payments.Replayed}[rng.IntN(5)]
	for _, r := range b.decide(how, ids...) {
		letter, err := b.store.DeadLetter(t.Context(), r.ID)
		switch {
		case err != nil:
			t.Error(err)
		case r.Err != nil: // an earlier decision made it legal
			if !errors.Is(r.Err, payments.ErrSettled) || how == payments.Replayed {
				t.Errorf("%s dead letter %v = %v, want ErrSettled", how, letter.Key, r.Err)
			}
		case how == payments.Discarded:
			discarded++
		case how == payments.Accepted && letter.Reason == unknownStatus:
			wantOutcomes(t, []*payrelayv1.Outcome{r.Outcome}, refused(unknownStatus))
		case how == payments.Accepted:
			isLate := letter.Reason != contradiction && letter.Reason != currencyMismatch && letter.Reason != orderMismatch
			if v := r.Outcome.GetVerdict(); v != applied && !(isLate && (v == stale || v == duplicate)) {
				t.Errorf("accept dead letter %v = %v, want applied", letter.Key, r.Outcome)
			}
			accepted++
		}
	}
	return accepted, discarded
}
