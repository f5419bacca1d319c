package payments

import (
	"maps"
	"slices"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// maxAhead is how far in the future the time of an update may be. An update from
// the far future would remain the newest one.
const maxAhead = 24 * time.Hour

// batch holds the updates of one call of the ledger, and what follows from them.
type batch struct {
	now time.Time
	// events[i] is update i, unless letters[i] is the dead letter of an update that
	// cannot be judged.
	events  []*Event
	letters []*DeadLetter
	// replayed is the dead letter whose update is the only event of the batch; nil
	// outside of a replay.
	replayed *DeadLetter

	// The fields below belong to one attempt at judging, see judge.

	stored     *Snapshot
	histories  map[string][]*Event
	aggregates map[string]*aggregate
	// recorded and owners hold what the snapshot does, and what this batch adds.
	recorded map[Key]Recorded
	owners   map[string]string
	changes  *Changes
	// apart holds events that take part in no history.
	apart []*entry
	// lettered holds the dead letters in changes, because a database cannot write
	// one row twice in a statement.
	lettered map[letterID]bool
}

type letterID struct {
	key    Key
	digest Digest
}

func newBatch(updates []*payrelayv1.Update, now time.Time) *batch {
	b := &batch{now: now, events: make([]*Event, len(updates)), letters: make([]*DeadLetter, len(updates))}
	for i, u := range updates {
		if letter := unreadable(u, b.now); letter != nil {
			b.letters[i] = letter
		} else {
			b.events[i] = newEvent(u, b.now)
		}
	}
	return b
}

// lookup returns what must be loaded to judge the batch.
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

// judge judges every event against the stored state and the events before it in
// the batch. It returns the ids of the orders whose history must be read before
// judge is called again. If it returns none, the verdicts and changes are final.
// The result depends on the arguments only.
func (b *batch) judge(stored *Snapshot, histories map[string][]*Event) (incomplete []string) {
	b.stored, b.histories = stored, histories
	b.aggregates, b.lettered = make(map[string]*aggregate), make(map[letterID]bool)
	b.recorded, b.owners = make(map[Key]Recorded), make(map[string]string)
	maps.Copy(b.recorded, stored.Recorded)
	maps.Copy(b.owners, stored.DisputeOrders)
	b.changes, b.apart = new(Changes), nil
	for i, e := range b.events {
		switch {
		case e == nil:
			b.deadLetter(b.letters[i])
		case b.replayed != nil:
			b.rejudge(e)
		default:
			b.judgeEvent(e)
		}
	}
	orderIDs := slices.Sorted(maps.Keys(b.aggregates))
	for _, id := range orderIDs {
		if b.aggregates[id].incomplete {
			incomplete = append(incomplete, id)
		}
	}
	if len(incomplete) > 0 {
		return incomplete
	}
	for _, e := range b.apart {
		b.write(e)
	}
	for _, id := range orderIDs {
		b.changes.Aggregates = append(b.changes.Aggregates, b.aggregates[id].stored())
		for e := range b.aggregates[id].entries() {
			b.write(e)
		}
	}
	return nil
}

// judgeEvent sets the verdict about an event. A later event of the batch may
// revise it.
func (b *batch) judgeEvent(e *Event) {
	e.Verdict, e.Reason = payrelayv1.Verdict_VERDICT_UNSPECIFIED, noReason
	known, seen := b.recorded[e.Key]
	switch {
	case seen && known.Digest == e.Digest:
		e.Verdict = payrelayv1.Verdict_VERDICT_DUPLICATE
	case seen:
		e.refuse(payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT)
		b.deadLetter(newDeadLetter(e, e.Update, b.now))
	default:
		b.changes.Events = append(b.changes.Events, e)
		b.record(newEntry(e))
	}
}

// record adds an event to the history of its order, or sets it apart.
func (b *batch) record(e *entry) {
	if reason := b.unfit(e); reason != noReason {
		e.refuse(reason)
		b.apart = append(b.apart, e)
	} else {
		b.aggregate(e.Update.GetOrderId()).record(e)
	}
	b.recorded[e.Key] = Recorded{Digest: e.Digest, InHistory: e.InHistory()}
}

// unfit returns the reason why an event cannot take part in any history, if any.
func (b *batch) unfit(e *entry) payrelayv1.DeadLetterReason {
	switch {
	case e.at.Rank == 0:
		return payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS
	case e.at.At.After(b.now.Add(maxAhead)):
		return payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_FUTURE_TIME
	}
	if e.IsDispute() {
		// A dispute belongs to the first order that names it.
		orderID, disputeID := e.Update.GetOrderId(), e.DisputeID()
		if owner, taken := b.owners[disputeID]; !taken {
			b.owners[disputeID] = orderID
		} else if owner != orderID {
			return payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ORDER_MISMATCH
		}
	}
	return noReason
}

func (b *batch) aggregate(orderID string) *aggregate {
	a, open := b.aggregates[orderID]
	if !open {
		stored := b.stored.Aggregates[orderID]
		recorded, complete := b.histories[orderID]
		a = newAggregate(orderID, stored, recorded, complete || stored == nil)
		b.aggregates[orderID] = a
	}
	return a
}

// deadLetter adds a dead letter to the changes, unless it is there already.
func (b *batch) deadLetter(l *DeadLetter) {
	if id := (letterID{l.Key, l.Digest}); !b.lettered[id] {
		b.lettered[id] = true
		b.changes.DeadLetters = append(b.changes.DeadLetters, l)
	}
}

// write adds what must be stored about a judged event to the changes: nothing if
// its recorded judgement stands.
func (b *batch) write(e *entry) {
	if e.stored != nil {
		if *e.stored == (judgement{e.Verdict, e.Reason}) {
			return
		}
		b.changes.Revised = append(b.changes.Revised, e.Event)
	}
	if e.refused() {
		b.changes.DeadLetters = append(b.changes.DeadLetters, newDeadLetter(e.Event, withoutBody(e.Update), b.now))
	} else if e.stored != nil && e.stored.verdict == payrelayv1.Verdict_VERDICT_DEAD_LETTERED {
		resolution := Reapplied
		if b.replayed != nil && b.events[0].Key == e.Key {
			resolution = Replayed
		}
		b.settle(e.Key, e.Digest, resolution)
	}
}

func (b *batch) settle(key Key, digest Digest, resolution Resolution) {
	b.changes.Settled = append(b.changes.Settled, Settlement{Key: key, Digest: digest, Resolution: resolution, At: b.now})
}

// outcomes returns the verdicts. They are final once the whole batch is judged.
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

// set holds distinct items in the order of their first appearance.
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
