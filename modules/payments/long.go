package payments

import (
	"context"
	"errors"
	"fmt"
	"slices"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// limits bounds the cost of an order or dispute with a long history.
type limits struct {
	// whole is the number of events from which on a history is long. A long history has
	// checkpoints and is read in pages.
	whole int
	// interval is the number of events between checkpoints.
	interval int
	// page is the number of events in a page of a long history.
	page int
	// commit is the maximum number of events that are folded in one commit, and that the
	// histories of one batch have together.
	commit int
}

var defaultLimits = limits{whole: 512, interval: 256, page: 512, commit: 16384}

// errTooMuch means that the histories of a batch together have too many events to be
// read at once.
var errTooMuch = errors.New("the histories of the batch are too long together")

// longHistories is the error of a batch with updates that must be applied alone, because
// their orders or disputes have long histories.
type longHistories struct{ of Subjects }

func (e *longHistories) Error() string {
	return fmt.Sprintf("%d orders and %d disputes have a long history", len(e.of.Orders), len(e.of.Disputes))
}

// apart divides the indexes of a batch into two parts: the updates of other orders and
// disputes, and then those of the ones with long histories. If there are no others, the
// parts are the two halves.
func (e *longHistories) apart(updates []*payrelayv1.Update) [][]int {
	var others, theirs []int
	for i, u := range updates {
		isLong := false
		switch kindOf(u) {
		case KindOrder:
			isLong = slices.Contains(e.of.Orders, u.GetOrderId())
		case KindDispute:
			isLong = slices.Contains(e.of.Disputes, disputeKey(u))
		}
		if isLong {
			theirs = append(theirs, i)
		} else {
			others = append(others, i)
		}
	}
	if len(others) == 0 {
		half := len(theirs) / 2
		return [][]int{theirs[:half], theirs[half:]}
	}
	return [][]int{others, theirs}
}

// divide divides orders and disputes by the known length of their histories: short ones,
// which can be read at once, and long ones. events is the number of events in the short
// ones.
func (b *batch) divide(incomplete Subjects) (short, long Subjects, events int) {
	for _, id := range incomplete.Orders {
		if n := b.orders[id].Events; n < b.limits.whole {
			short.Orders, events = append(short.Orders, id), events+n
		} else {
			long.Orders = append(long.Orders, id)
		}
	}
	for _, key := range incomplete.Disputes {
		if n := b.disputes[key].Events; n < b.limits.whole {
			short.Disputes, events = append(short.Disputes, key), events+n
		} else {
			long.Disputes = append(long.Disputes, key)
		}
	}
	return short, long, events
}

// onlyLate reports whether all events of a batch that need a history are of the same
// one, and none is newer than those that it has.
func (b *batch) onlyLate() bool {
	for _, h := range b.orders {
		return len(b.orders) == 1 && len(b.disputes) == 0 && len(h.entries) == 0
	}
	for _, h := range b.disputes {
		return len(b.disputes) == 1 && len(h.entries) == 0
	}
	return false
}

// judgeLong completes the judgement of a batch whose events are late in one long
// history or revise it.
func (l *Ledger) judgeLong(ctx context.Context, b *batch, of Subjects) error {
	rules, refold := b.long(of)
	if rules != Rules {
		return l.judgeAfter(ctx, b, of)
	}
	switch err := refold(ctx, l.store); {
	case errors.Is(err, errOneByOne):
		return &longHistories{of}
	case err != nil:
		return err
	}
	return guard(b.collect)
}

// judgeAfter folds the histories of orders and disputes to their end by the current
// rules, and then judges the batch.
func (l *Ledger) judgeAfter(ctx context.Context, b *batch, of Subjects) error {
	switch {
	case len(b.events) > 1:
		return &longHistories{of}
	case b.dry():
		return errFolding
	}
	if err := l.finish(ctx, of); err != nil {
		return err
	}
	return l.judge(ctx, b)
}

// finish folds one long history to its end, in as many commits as needed.
func (l *Ledger) finish(ctx context.Context, of Subjects) error {
	for races := 0; races < maxRaces; {
		stored, err := l.store.Load(ctx, Lookup{Subjects: of})
		if err != nil {
			return fmt.Errorf("load an order with a long history: %w", err)
		}
		b := newBatch(nil, l.clock(), l.limits)
		b.judge(stored, new(Histories)) // no event, so this cannot panic
		rules, refold := b.long(of)
		if pending := stored.pending(); rules == Rules && pending.empty() {
			return nil
		}
		if err := refold(ctx, l.store); err != nil {
			return err
		}
		if err := guard(b.collect); err != nil {
			return err
		}
		switch err := l.write(ctx, b.changes); {
		case errors.Is(err, ErrRaced):
			races++
		case err != nil:
			return fmt.Errorf("write a part of a long history: %w", err)
		default:
			races = 0
		}
	}
	return fmt.Errorf("gave up after %d attempts: %w", maxRaces, ErrRaced)
}

// long returns the rules by which the only long history of a batch was folded, and the
// function that folds it again.
func (b *batch) long(of Subjects) (rules int, refold func(context.Context, Store) error) {
	if len(of.Orders) > 0 {
		h := b.order(of.Orders[0])
		return h.Rules, h.refold
	}
	h := b.dispute(of.Disputes[0])
	return h.Rules, h.refold
}

// unfinished returns the orders and disputes whose fold is still pending after the
// changes.
func (b *batch) unfinished() (of Subjects) {
	for _, a := range b.changes.Orders {
		if !a.Pending.IsZero() {
			of.Orders = append(of.Orders, a.State.ID)
		}
	}
	for _, a := range b.changes.Disputes {
		if !a.Pending.IsZero() {
			of.Disputes = append(of.Disputes, a.State.DisputeKey)
		}
	}
	return of
}

// pending returns the orders and disputes whose fold is pending.
func (s *Snapshot) pending() (of Subjects) {
	for id, a := range s.Orders {
		if !a.Pending.IsZero() {
			of.Orders = append(of.Orders, id)
		}
	}
	for key, a := range s.Disputes {
		if !a.Pending.IsZero() {
			of.Disputes = append(of.Disputes, key)
		}
	}
	return of
}
