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

// walk is a random story of order "o1" and its disputes, told in updates that
// contradict each other now and then: statuses that fall back, two currencies,
// statuses that nobody knows, clocks of one second, two providers that use the
// same event ids.
func walk(rng *rand.Rand, length int) []*payrelayv1.Update {
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
		u.OccurredAt.Nanos = rng.Int32N(2) * 999 // too fine to count
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

// told is where a ledger's store got to, as a naive fold would tell it.
func told(m *memory) outcome {
	got := outcome{order: m.order("o1"), disputes: make(map[string]payments.Dispute), refused: make(map[payments.Key]payrelayv1.DeadLetterReason)}
	if a := m.orders["o1"]; a != nil {
		for id, d := range a.disputes {
			got.disputes[id] = d.State
		}
	}
	got.order.ID = "o1" // of which there may be nothing yet but updates apart
	for key, e := range m.events {
		if e.Verdict == dead {
			got.refused[key] = e.Reason
		}
	}
	return got
}

// wantSame checks a store against the naive fold of the updates that it got,
// and that its parts agree with each other.
func wantSame(t *testing.T, m *memory, updates []*payrelayv1.Update) {
	t.Helper()
	got, want := told(m), naiveFold(updates)
	if got.order != want.order {
		t.Errorf("order\n%+v, want\n%+v", got.order, want.order)
	}
	if !maps.Equal(got.disputes, want.disputes) {
		t.Errorf("disputes\n%+v, want\n%+v", got.disputes, want.disputes)
	}
	if !maps.Equal(got.refused, want.refused) {
		t.Errorf("refused\n%v, want\n%v", got.refused, want.refused)
	}
	if len(m.events) != len(updates) {
		t.Errorf("%d events of %d updates", len(m.events), len(updates))
	}
	open := make(map[payments.Key]payrelayv1.DeadLetterReason)
	for _, letter := range m.openLetters() {
		open[letter.Key] = letter.Reason
	}
	if !maps.Equal(open, want.refused) {
		t.Errorf("open dead letters\n%v, want those of the refused events\n%v", open, want.refused)
	}
	wantHeads(t, m)
}

// wantHeads checks that each history's head is the position of its last event.
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
			t.Errorf("order %s reaches to %v, want %v", id, a.order.Head, heads[""])
		}
		for id, d := range a.disputes {
			if d.Head != heads[id] {
				t.Errorf("dispute %s reaches to %v, want %v", id, d.Head, heads[id])
			}
		}
	}
}

// arrive has the updates come in, cut into batches, some of them twice, until
// the ledger has answered for each.
func arrive(t *testing.T, rng *rand.Rand, ledger payments.Applier, updates []*payrelayv1.Update) {
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
				t.Fatalf("%d outcomes for %d updates, error %v after %d tries", len(outcomes), len(batch), err, tries)
			}
		}
	}
}

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

// tell applies a walk in one arrival to a new store and checks where it got to.
func tell(t *testing.T, rng *rand.Rand, arrival []*payrelayv1.Update) {
	t.Helper()
	b := newBench(t)
	arrive(t, rng, b, arrival)
	wantSame(t, b.store, arrival)
}

func TestEveryArrivalOfAShortWalkEndsTheSame(t *testing.T) {
	for seed := range uint64(60) {
		length := 2 + int(seed%4)
		if seed%20 == 0 {
			length = 6
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		updates := walk(rng, length)
		permutations(length, func(places []int) {
			arrival := make([]*payrelayv1.Update, length)
			for i, at := range places {
				arrival[i] = updates[at]
			}
			tell(t, rng, arrival)
			if t.Failed() {
				t.Fatalf("seed %d, arrival %v of %v", seed, places, updates)
			}
		})
	}
}

func TestSampledArrivalsOfALongWalkEndTheSame(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 2))
		updates := walk(rng, 7+rng.IntN(30))
		for range 8 {
			tell(t, rng, updates)
			if t.Failed() {
				t.Fatalf("seed %d, arrival %v", seed, updates)
			}
			rng.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
		}
	}
}

// flaky makes commits fail now and then: raced, before, or after the fact.
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
		updates := walk(rng, 2+rng.IntN(20))
		b := newBench(t)
		flaky(rng, b.store)
		arrive(t, rng, b, updates)
		wantSame(t, b.store, updates)
		if t.Failed() {
			t.Fatalf("seed %d, arrival %v", seed, updates)
		}
	}
}

// Several ledgers on one store, as several processes are: each sends all of the
// updates, in a sequence of its own.
func TestLedgersThatRaceEndTheSame(t *testing.T) {
	for seed := range uint64(30) {
		updates := walk(rand.New(rand.NewPCG(seed, 4)), 12)
		store := newMemory(t)
		var senders sync.WaitGroup
		for sender := range uint64(4) {
			senders.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 10+sender))
				mine := slices.Clone(updates)
				rng.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
				ledger := payments.NewLedgerAt(store, func() time.Time { return today })
				for _, u := range mine {
					if err := untilDone(ledger, u); err != nil {
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

func untilDone(ledger *payments.Ledger, u *payrelayv1.Update) error {
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
		updates := walk(rng, 1+int(length)%60)
		rng.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
		b := newBench(t)
		if failing {
			flaky(rng, b.store)
		}
		arrive(t, rng, b, updates)
		wantSame(t, b.store, updates)
	})
}
