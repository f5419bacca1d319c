package payments

import (
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// batch is what one call asks the ledger to judge.
type batch struct {
	now time.Time
	// events[i] is update i, unless letters[i] says that it cannot be judged.
	events  []*Event
	letters []*DeadLetter
	// replayed is the dead letter that the batch's one event comes from.
	replayed *DeadLetter
}

func (l *Ledger) newBatch(updates []*payrelayv1.Update) *batch {
	b := &batch{now: l.clock(), events: make([]*Event, len(updates)), letters: make([]*DeadLetter, len(updates))}
	for i, u := range updates {
		if letter := unreadable(u, b.now); letter != nil {
			b.letters[i] = letter
		} else {
			b.events[i] = newEvent(u, b.now)
		}
	}
	return b
}

// lookup is what has to be loaded to judge the batch.
func (b *batch) lookup() Lookup {
	keys, orders, disputes := newSet[Key](), newSet[string](), newSet[string]()
	for _, e := range b.events {
		if e == nil {
			continue
		}
		keys.add(e.Key)
		orders.add(e.Update.GetOrderId())
		if e.IsDispute() {
			disputes.add(e.DisputeID())
		}
	}
	return Lookup{Keys: keys.items, OrderIDs: orders.items, DisputeIDs: disputes.items}
}

// judgeIn enters the batch into a book, from a clean slate.
func (b *batch) judgeIn(book *book) {
	for i, e := range b.events {
		if e == nil {
			book.letter(b.letters[i])
			continue
		}
		e.Verdict, e.Reason = payrelayv1.Verdict_VERDICT_UNSPECIFIED, noReason
		if b.replayed != nil {
			book.rejudge(e, b.replayed)
		} else {
			book.judge(e)
		}
	}
}

// outcomes are the verdicts after the whole batch was judged, for a late update
// can revise one that came before it.
func (b *batch) outcomes() []*payrelayv1.Outcome {
	outcomes := make([]*payrelayv1.Outcome, len(b.events))
	for i, e := range b.events {
		if e == nil {
			outcomes[i] = &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: b.letters[i].Reason}
		} else {
			outcomes[i] = &payrelayv1.Outcome{Verdict: e.Verdict, Reason: e.Reason}
		}
	}
	return outcomes
}

// set collects distinct items in the sequence of their first appearance.
type set[T comparable] struct {
	seen  map[T]bool
	items []T
}

func newSet[T comparable]() *set[T] { return &set[T]{seen: make(map[T]bool)} }

func (s *set[T]) add(item T) {
	if !s.seen[item] {
		s.seen[item] = true
		s.items = append(s.items, item)
	}
}
