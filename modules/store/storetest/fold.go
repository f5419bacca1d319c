package storetest

import (
	"context"
	"maps"
	"slices"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// scratch is a store of nothing, and the one commit that is made on it: what a
// ledger makes of a whole history that comes at once.
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

// told is where updates lead to.
type told struct {
	orders   map[string]payments.Folded[payments.Order]
	disputes map[string]payments.Folded[payments.Dispute]
	refused  map[payments.Key]payrelayv1.DeadLetterReason
}

// fold tells where updates lead to, by a ledger that has no use for a store.
func fold(t *testing.T, updates []*payrelayv1.Update) *told {
	t.Helper()
	s := new(scratch)
	if _, err := payments.NewLedger(s).Apply(t.Context(), updates); err != nil {
		t.Fatal(err)
	}
	result := newTold()
	for _, a := range s.changes.Aggregates {
		result.add(a)
	}
	for _, e := range s.changes.Events {
		result.judge(e)
	}
	return result
}

func newTold() *told {
	return &told{
		make(map[string]payments.Folded[payments.Order]), make(map[string]payments.Folded[payments.Dispute]),
		make(map[payments.Key]payrelayv1.DeadLetterReason),
	}
}

func (s *told) add(a *payments.Aggregate) {
	s.orders[a.OrderID] = a.Order
	for _, folded := range a.Disputes {
		s.disputes[folded.State.ID] = folded
	}
}

func (s *told) judge(e *payments.Event) {
	if e.Verdict == dead {
		s.refused[e.Key] = e.Reason
	}
}

// wantTold checks that the store got where these updates lead to: the states,
// the verdicts, each event once, a dead letter for each that is refused or in
// conflict, and a history that folds to the same states.
func wantTold(d *db, updates []*payrelayv1.Update, conflicts int) {
	d.t.Helper()
	want, got := fold(d.t, updates), newTold()
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
		d.t.Errorf("%d events of %d updates", len(recorded), len(updates))
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
		d.t.Errorf("open dead letters\n%v, want those of the refused events\n%v; %d conflicts are missing", open, refused, conflicts)
	}
}

func wantSame(t *testing.T, what string, got, want *told) {
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
