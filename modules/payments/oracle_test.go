package payments_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
)

// applyInBatches applies the updates in batches of random size, some of them twice. It
// sends a batch again until the ledger returns an outcome for each update.
func applyInBatches(t *testing.T, rng *rand.Rand, ledger payments.Applier, updates []*payrelayv1.Update) {
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

// resultOf returns the contents of a store as a result of the oracle.
func resultOf(m *memory) oracle.Result {
	end := oracle.NewResult()
	for id, a := range m.orders {
		if a.State.Status != orderNone {
			end.Orders[id] = oracle.OrderOf(a.State)
		}
	}
	for key, a := range m.disputes {
		if a.State.Status != disputeNone {
			end.Disputes[key] = a.State
		}
	}
	for key, e := range m.events {
		if e.Verdict == dead && !e.Discarded {
			end.Refused[key] = payments.DeadLetterReasons.Name(e.Reason)
		}
	}
	return end
}

// wantOracleResult compares a store with the oracle's result for the same updates. The
// oracle omits discarded events and forces accepted ones. wantOracleResult also checks
// that the aggregates, events, dead letters and checkpoints of the store agree.
func wantOracleResult(t *testing.T, m *memory, updates []*payrelayv1.Update) {
	t.Helper()
	forced := make(map[payments.Key]bool)
	var kept []*payrelayv1.Update
	for _, u := range updates {
		e := m.events[keyOf(u)]
		if e == nil {
			t.Fatalf("event %v is lost", keyOf(u))
		}
		if e.Forced || e.Discarded {
			want := payments.Accepted
			if e.Discarded {
				want = payments.Discarded
			}
			if letter := m.letters[letterName{e.Key, e.Facts}]; letter == nil || letter.Resolution != want {
				t.Errorf("dead letter of event %v is %+v, want it %s", e.Key, letter, want)
			}
		}
		if forced[e.Key] = e.Forced; !e.Discarded {
			kept = append(kept, u)
		}
	}
	want := oracle.Fold(kept, forced)
	for _, difference := range resultOf(m).Differences(want) {
		t.Error(difference)
	}
	if len(m.events) != len(updates) {
		t.Errorf("got %d events, want %d", len(m.events), len(updates))
	}
	open := make(map[payments.Key]string)
	for _, letter := range m.openLetters() {
		open[letter.Key] = payments.DeadLetterReasons.Name(letter.Reason)
	}
	if !maps.Equal(open, want.Refused) {
		t.Errorf("open dead letters\n%v, want those of the refused events\n%v", open, want.Refused)
	}
	wantHeads(t, m)
	wantCheckpoints(t, m, kept, forced)
	wantNoDifferences(t, m)
}

// wantCheckpoints checks that each checkpoint is the fold of the events before it.
func wantCheckpoints(t *testing.T, m *memory, kept []*payrelayv1.Update, forced map[payments.Key]bool) {
	t.Helper()
	for of, checkpoints := range m.checkpoints {
		for _, c := range checkpoints {
			if c.Rules != payments.Rules {
				continue
			}
			before := newMemory(t)
			if of.Order != "" {
				before.orders[of.Order] = stateOf[payments.Order](t, c)
			} else {
				before.disputes[of.Dispute] = stateOf[payments.Dispute](t, c)
			}
			want := oracle.Fold(slices.DeleteFunc(slices.Clone(kept), func(u *payrelayv1.Update) bool {
				e := m.events[keyOf(u)]
				return subjectOf(e) != of || !payments.PositionOf(e).At.Before(c.Before)
			}), forced)
			want.Refused = nil
			got := resultOf(before)
			// The time of the first update may be outdated in a checkpoint.
			for id, o := range got.Orders {
				o.Created = want.Orders[id].Created
				got.Orders[id] = o
			}
			for key, d := range got.Disputes {
				d.OpenedAt = want.Disputes[key].OpenedAt
				got.Disputes[key] = d
			}
			for _, difference := range got.Differences(want) {
				t.Errorf("the checkpoint of %v before %v: %s", of, c.Before, difference)
			}
		}
	}
	for id, a := range m.orders {
		if !a.Pending.IsZero() {
			t.Errorf("order %s is still being folded again", id)
		}
	}
	for key, a := range m.disputes {
		if !a.Pending.IsZero() {
			t.Errorf("dispute %v is still being folded again", key)
		}
	}
}

func stateOf[S any](t *testing.T, c payments.Checkpoint) (a payments.Aggregate[S]) {
	t.Helper()
	if err := json.Unmarshal([]byte(c.State), &a.State); err != nil {
		t.Errorf("checkpoint %s: %v", c.State, err)
	}
	return a
}

// wantHeads checks that each head is the position of the newest event in the history,
// or of a newer event that was discarded.
func wantHeads(t *testing.T, m *memory) {
	t.Helper()
	orders, disputes := make(map[string]payments.Position), make(map[payments.DisputeKey]payments.Position)
	discarded := make(map[payments.Position]bool)
	for _, e := range m.events {
		switch p := payments.PositionOf(e); {
		case e.Discarded:
			discarded[p] = true
		case !e.InHistory():
		case e.Key.Kind == payments.KindOrder && p.After(orders[e.Update.GetOrderId()]):
			orders[e.Update.GetOrderId()] = p
		case e.Key.Kind == payments.KindDispute && p.After(disputes[e.Dispute()]):
			disputes[e.Dispute()] = p
		}
	}
	for id, a := range m.orders {
		if a.Head != orders[id] && !(discarded[a.Head] && a.Head.After(orders[id])) {
			t.Errorf("head of order %s is %v, want %v", id, a.Head, orders[id])
		}
	}
	for key, a := range m.disputes {
		if a.Head != disputes[key] && !(discarded[a.Head] && a.Head.After(disputes[key])) {
			t.Errorf("head of dispute %v is %v, want %v", key, a.Head, disputes[key])
		}
	}
}
