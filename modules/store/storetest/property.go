package storetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// scratch is an empty store that holds the one commit made on it: what a ledger makes
// of a whole history at once.
type scratch struct {
	payments.Store
	changes *payments.Changes
}

func (*scratch) Load(context.Context, payments.Lookup) (*payments.Snapshot, error) {
	return new(payments.Snapshot), nil
}

func (s *scratch) Commit(_ context.Context, changes *payments.Changes) error {
	s.changes = changes
	return nil
}

// foldResult is the result of updates: expected, or as the store has it.
type foldResult struct {
	orders   map[string]payments.Folded[payments.Order]
	disputes map[string]payments.Folded[payments.Dispute]
	refused  map[payments.Key]payrelayv1.DeadLetterReason
}

// fold returns the result of updates that a ledger applies at once.
func fold(t *testing.T, updates []*payrelayv1.Update) *foldResult {
	t.Helper()
	s := new(scratch)
	if _, err := payments.NewLedger(s).Apply(t.Context(), updates); err != nil {
		t.Fatal(err)
	}
	result := newFoldResult()
	for _, a := range s.changes.Aggregates {
		result.add(a)
	}
	for _, e := range s.changes.Events {
		result.judge(e)
	}
	return result
}

func newFoldResult() *foldResult {
	return &foldResult{
		make(map[string]payments.Folded[payments.Order]), make(map[string]payments.Folded[payments.Dispute]),
		make(map[payments.Key]payrelayv1.DeadLetterReason),
	}
}

func (s *foldResult) add(a *payments.Aggregate) {
	s.orders[a.OrderID] = a.Order
	for _, folded := range a.Disputes {
		s.disputes[folded.State.ID] = folded
	}
}

func (s *foldResult) judge(e *payments.Event) {
	if e.Verdict == dead {
		s.refused[e.Key] = e.Reason
	}
}

// wantResult checks that the store has the result of these updates: the states, the
// verdicts, each event once, a dead letter for each refused and conflicting update, and
// a history that folds to the same states.
func wantResult(d *db, updates []*payrelayv1.Update, conflicts int) {
	d.t.Helper()
	want, got := fold(d.t, updates), newFoldResult()
	ids := slices.Sorted(maps.Keys(want.orders))
	for _, id := range ids {
		got.add(d.aggregate(id))
	}
	mine := make(map[payments.Key]bool)
	for _, u := range updates {
		mine[keyOf(u)] = true
	}
	recorded := selected(d.events(), func(e payments.RecordedEvent) bool { return mine[e.Key] })
	if len(recorded) != len(updates) {
		d.t.Errorf("got %d events of %d updates, want one of each", len(recorded), len(updates))
	}
	for _, e := range recorded {
		got.judge(&e.Event)
	}
	wantSame(d.t, "stored", got, want)
	wantOpen(d, mine, want.refused, conflicts)

	var history []*payrelayv1.Update
	for _, events := range d.history(ids...) {
		for _, e := range events {
			history = append(history, e.Update)
		}
	}
	maps.DeleteFunc(want.refused, func(_ payments.Key, r payrelayv1.DeadLetterReason) bool { return r == unknownStatus })
	wantSame(d.t, "folded from the history", fold(d.t, history), want)
}

// wantOpen checks the open dead letters of some events.
func wantOpen(d *db, mine map[payments.Key]bool, refused map[payments.Key]payrelayv1.DeadLetterReason, conflicts int) {
	d.t.Helper()
	open := make(map[payments.Key]payrelayv1.DeadLetterReason)
	for _, l := range selected(d.openLetters(), func(l *payments.DeadLetter) bool { return mine[l.Key] }) {
		if l.Reason == conflict {
			conflicts--
		} else {
			open[l.Key] = l.Reason
		}
	}
	if !maps.Equal(open, refused) || conflicts != 0 {
		d.t.Errorf("got the open dead letters\n%v, want those of the refused events\n%v; %d conflicts are missing", open, refused, conflicts)
	}
}

func wantSame(t *testing.T, what string, got, want *foldResult) {
	t.Helper()
	if !maps.Equal(got.orders, want.orders) {
		t.Errorf("%s: orders\n%+v, want\n%+v", what, got.orders, want.orders)
	}
	if !maps.Equal(got.disputes, want.disputes) {
		t.Errorf("%s: disputes\n%+v, want\n%+v", what, got.disputes, want.disputes)
	}
	if !maps.Equal(got.refused, want.refused) {
		t.Errorf("%s: refused\n%v, want\n%v", what, got.refused, want.refused)
	}
}

// walk returns random updates of one order and its disputes: statuses that go back,
// equal times, two currencies, an unknown status, and two providers with the same event
// ids.
func walk(rng *rand.Rand, orderID string, length int) []*payrelayv1.Update {
	updates := make([]*payrelayv1.Update, length)
	for i := range updates {
		event, second := fmt.Sprintf("%s/%d", orderID, i/2), rng.IntN(1+length/2)
		common := []change{of(orderID), from([]string{"a", "b"}[i%2]), user(pick(rng, []string{"", "u1", "u2"}))}
		if rng.IntN(5) < 2 {
			updates[i] = dispute(event, second, payrelayv1.DisputeStatus(rng.Int32N(9)), append(common, claim(rng))...)
		} else {
			updates[i] = order(event, second, payrelayv1.OrderStatus(rng.Int32N(5)), append(common, snapshot(rng))...)
		}
	}
	return updates
}

func snapshot(rng *rand.Rand) change {
	return func(u *payrelayv1.Update) {
		o := u.GetOrder()
		if o.Status == orderNone {
			o.ProviderStatus = "a new word"
		}
		o.Amount = price(rng)
		if rng.IntN(3) == 0 {
			o.CreatedAt = timestamppb.New(noon.Add(-time.Duration(rng.IntN(5)) * time.Hour))
		}
		u.OccurredAt.Nanos = rng.Int32N(2) * 999 // nanoseconds are not kept
	}
}

func claim(rng *rand.Rand) change {
	return func(u *payrelayv1.Update) {
		c := u.GetDispute()
		if c.Status == disputeNone {
			c.ProviderStatus = "a new word"
		}
		c.DisputeId = pick(rng, []string{"", u.GetOrderId() + "/x", u.GetOrderId() + "/y"})
		c.Reason, c.Amount = pick(rng, []string{"", "fraud", "goods"}), price(rng)
		if rng.IntN(3) == 0 {
			c.EvidenceDueAt = timestamppb.New(noon.Add(time.Duration(rng.IntN(5)) * time.Hour))
		}
	}
}

func price(rng *rand.Rand) *payrelayv1.Money {
	currency := pick(rng, []string{"", "", "USD", "USD", "USD", "EUR"})
	if currency == "" {
		return nil
	}
	return &payrelayv1.Money{MinorUnits: 1 + rng.Int64N(3), Currency: currency}
}

// everyArrival applies the same updates several times, each time to other orders, in
// another order and in other batches. The result is always the same.
func everyArrival(t *testing.T, d *db) {
	for round := range uint64(6) {
		for attempt := range uint64(3) {
			story := rand.New(rand.NewPCG(round, 0)) // the same updates each time
			var updates []*payrelayv1.Update
			for i := range 5 {
				updates = append(updates, walk(story, fmt.Sprintf("%d/%d/%d", round, attempt, i), 4+story.IntN(12))...)
			}
			rng := rand.New(rand.NewPCG(round, 1+attempt))
			arrival, conflicts := disturbed(rng, updates)
			for len(arrival) > 0 {
				n := min(1+rng.IntN(20), len(arrival))
				d.apply(arrival[:n]...)
				arrival = arrival[n:]
			}
			wantResult(d, updates, conflicts)
			if t.Failed() {
				t.Fatalf("the first failure is in round %d, attempt %d", round, attempt)
			}
		}
	}
}

// disturbed shuffles the updates, repeats some, and adds other bodies under some of the
// keys, each after the first body.
func disturbed(rng *rand.Rand, updates []*payrelayv1.Update) (arrival []*payrelayv1.Update, conflicts int) {
	arrival = shuffled(rng, updates)
	for conflicts < len(updates)/8 {
		i := rng.IntN(len(arrival))
		conflicts++
		other := proto.CloneOf(arrival[i])
		other.RawBody, other.UserId = fmt.Append(nil, "conflict ", conflicts), "another"
		arrival = slices.Insert(arrival, i+1+rng.IntN(len(arrival)-i), other)
	}
	for range len(updates) / 8 {
		arrival = slices.Insert(arrival, rng.IntN(len(arrival)+1), pick(rng, updates))
	}
	return arrival, conflicts
}
