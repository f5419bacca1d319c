package payments_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// randomUpdates returns random updates of order "o1" and its disputes. Some contradict
// each other: statuses go back, there are two currencies, unknown statuses, equal times,
// and two providers with the same event ids.
func randomUpdates(rng *rand.Rand, length int) []*payrelayv1.Update {
	updates := make([]*payrelayv1.Update, length)
	valid := rng.IntN(3) == 0
	for i := range updates {
		second, status := rng.IntN(1+length/2), rng.Int32N(5)
		if valid {
			second, status = i, int32(1+3*i/length) // created, updated, success
		}
		id, provider := fmt.Sprint("e", i/2), []string{"a", "b"}[i%2]
		if rng.IntN(5) < 2 {
			updates[i] = dispute(id, second, disputeOpen, from(provider), user(pick(rng, "", "u1", "u2")), claim(rng, valid))
		} else {
			updates[i] = order(id, second, orderCreated, from(provider), user(pick(rng, "", "u1", "u2")), snapshot(rng, status))
		}
	}
	return updates
}

func snapshot(rng *rand.Rand, status int32) change {
	return func(u *payrelayv1.Update) {
		o := u.GetOrder()
		if o.Status = payrelayv1.OrderStatus(status); status == 0 {
			o.ProviderStatus = "a new word"
		}
		o.Amount = money(rng)
		if rng.IntN(3) == 0 {
			o.CreatedAt = timestamppb.New(noon.Add(-time.Duration(rng.IntN(5)) * time.Hour))
		}
		u.OccurredAt.Nanos = rng.Int32N(2) * 999 // less than a microsecond
	}
}

func claim(rng *rand.Rand, valid bool) change {
	return func(u *payrelayv1.Update) {
		d := u.GetDispute()
		d.DisputeId, d.Reason, d.Amount = pick(rng, "", "x", "y"), pick(rng, "", "fraud", "goods"), money(rng)
		d.Status = payrelayv1.DisputeStatus(rng.Int32N(9))
		if valid {
			d.Status = disputeOpen
		}
		if d.Status == disputeNone {
			d.ProviderStatus = "a new word"
		}
		if rng.IntN(3) == 0 {
			d.EvidenceDueAt = timestamppb.New(noon.Add(time.Duration(rng.IntN(5)) * time.Hour))
		}
	}
}

func money(rng *rand.Rand) *payrelayv1.Money {
	currency := pick(rng, "", "", "USD", "USD", "USD", "EUR")
	if currency == "" {
		return nil
	}
	return &payrelayv1.Money{MinorUnits: 1 + rng.Int64N(3), Currency: currency}
}

func pick(rng *rand.Rand, words ...string) string { return words[rng.IntN(len(words))] }

// stateOf returns what a store holds, in the form of naiveFold.
func stateOf(m *memory) result {
	got := result{order: m.order("o1"), disputes: make(map[string]payments.Dispute), refused: make(map[payments.Key]payrelayv1.DeadLetterReason)}
	if a := m.orders["o1"]; a != nil {
		for id, d := range a.disputes {
			got.disputes[id] = d.State
		}
	}
	got.order.ID = "o1" // also if the store has only updates without a history
	for key, e := range m.events {
		if e.Verdict == dead {
			got.refused[key] = e.Reason
		}
	}
	return got
}

// wantSame checks that a store holds the naive fold of its updates, and that its parts
// agree with each other.
func wantSame(t *testing.T, m *memory, updates []*payrelayv1.Update) {
	t.Helper()
	got, want := stateOf(m), naiveFold(updates)
	if got.order != want.order {
		t.Errorf("order =\n%+v, want\n%+v", got.order, want.order)
	}
	if !maps.Equal(got.disputes, want.disputes) {
		t.Errorf("disputes =\n%+v, want\n%+v", got.disputes, want.disputes)
	}
	if !maps.Equal(got.refused, want.refused) {
		t.Errorf("refused =\n%v, want\n%v", got.refused, want.refused)
	}
	if len(m.events) != len(updates) {
		t.Errorf("%d events, want %d", len(m.events), len(updates))
	}
	open := make(map[payments.Key]payrelayv1.DeadLetterReason)
	for _, letter := range m.openLetters() {
		open[letter.Key] = letter.Reason
	}
	if !maps.Equal(open, want.refused) {
		t.Errorf("open dead letters =\n%v, want those of the refused events\n%v", open, want.refused)
	}
	wantHeads(t, m)
}

// wantHeads checks that the head of each history is the position of its last event.
func wantHeads(t *testing.T, m *memory) {
	t.Helper()
	heads := make(map[string]payments.Position)
	for _, e := range m.events {
		if p := payments.PositionOf(e); e.InHistory() && p.After(heads[e.DisputeID()]) {
			heads[e.DisputeID()] = p
		}
	}
	for id, a := range m.orders {
		if a.order.Head != heads[""] {
			t.Errorf("head of order %s = %v, want %v", id, a.order.Head, heads[""])
		}
		for id, d := range a.disputes {
			if d.Head != heads[id] {
				t.Errorf("head of dispute %s = %v, want %v", id, d.Head, heads[id])
			}
		}
	}
}

// applyAll applies the updates in batches of random size, with some updates twice, and
// repeats each batch until it succeeds.
func applyAll(t *testing.T, rng *rand.Rand, ledger payments.Applier, updates []*payrelayv1.Update) {
	t.Helper()
	for len(updates) > 0 {
		n := 1 + rng.IntN(len(updates))
		batch := slices.Clone(updates[:n])
		updates = updates[n:]
		for range rng.IntN(2) {
			batch = slices.Insert(batch, rng.IntN(len(batch)+1), batch[rng.IntN(len(batch))])
		}
		for tries := 0; ; tries++ {
			outcomes, err := ledger.Apply(t.Context(), batch)
			if err == nil && len(outcomes) == len(batch) {
				break
			}
			if err == nil || tries == 100 || (!errors.Is(err, errBroken) && !errors.Is(err, payments.ErrRaced)) {
				t.Fatalf("Apply(%d updates) = %d outcomes, %v after %d attempts", len(batch), len(outcomes), err, tries)
			}
		}
	}
}

// permutations calls visit with every permutation of the numbers from 0 to n-1.
func permutations(n int, visit func([]int)) {
	places := make([]int, n)
	for i := range places {
		places[i] = i
	}
	var swap func(int)
	swap = func(k int) {
		if k == n {
			visit(places)
			return
		}
		for i := k; i < n; i++ {
			places[k], places[i] = places[i], places[k]
			swap(k + 1)
			places[k], places[i] = places[i], places[k]
		}
	}
	swap(0)
}

// checkArrival applies updates in this order to a new store and checks the result.
func checkArrival(t *testing.T, rng *rand.Rand, arrival []*payrelayv1.Update) {
	t.Helper()
	b := newBench(t)
	applyAll(t, rng, b, arrival)
	wantSame(t, b.store, arrival)
}

func TestEveryOrderOfFewUpdatesHasTheSameResult(t *testing.T) {
	for seed := range uint64(60) {
		length := 2 + int(seed%4)
		if seed%20 == 0 {
			length = 6
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		updates := randomUpdates(rng, length)
		permutations(length, func(places []int) {
			arrival := make([]*payrelayv1.Update, length)
			for i, at := range places {
				arrival[i] = updates[at]
			}
			checkArrival(t, rng, arrival)
			if t.Failed() {
				t.Fatalf("seed %d, arrival %v of %v", seed, places, updates)
			}
		})
	}
}

func TestRandomOrdersOfManyUpdatesHaveTheSameResult(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 2))
		updates := randomUpdates(rng, 7+rng.IntN(30))
		for range 8 {
			checkArrival(t, rng, updates)
			if t.Failed() {
				t.Fatalf("seed %d, arrival %v", seed, updates)
			}
			rng.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
		}
	}
}

// flaky makes random commits fail: with a race, with an error before the changes are
// written, or with an error after that.
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
		updates := randomUpdates(rng, 2+rng.IntN(20))
		b := newBench(t)
		flaky(rng, b.store)
		applyAll(t, rng, b, updates)
		wantSame(t, b.store, updates)
		if t.Failed() {
			t.Fatalf("seed %d, arrival %v", seed, updates)
		}
	}
}

// Several ledgers share one store, as several processes do. Each applies all updates in
// a random order.
func TestConcurrentLedgersHaveTheSameResult(t *testing.T) {
	for seed := range uint64(30) {
		updates := randomUpdates(rand.New(rand.NewPCG(seed, 4)), 12)
		store := newMemory(t)
		var senders sync.WaitGroup
		for sender := range uint64(4) {
			senders.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 10+sender))
				mine := slices.Clone(updates)
				rng.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
				ledger := payments.NewLedgerAt(store, func() time.Time { return today })
				for _, u := range mine {
					if err := applyUntilDone(ledger, u); err != nil {
						t.Error(err)
					}
				}
			})
		}
		senders.Wait()
		wantSame(t, store, updates)
		if t.Failed() {
			t.Fatalf("seed %d, updates %v", seed, updates)
		}
	}
}

func applyUntilDone(ledger *payments.Ledger, u *payrelayv1.Update) error {
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
		updates := randomUpdates(rng, 1+int(length)%60)
		rng.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
		b := newBench(t)
		if failing {
			flaky(rng, b.store)
		}
		applyAll(t, rng, b, updates)
		wantSame(t, b.store, updates)
	})
}
