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

// batch holds the updates of one call of the ledger, their verdicts and the changes to
// write.
type batch struct {
	now    time.Time
	limits *limits
	// events[i] is update i, unless letters[i] is the dead letter of an update that
	// cannot be judged.
	events  []*Event
	letters []*DeadLetter
	// operations[i] is the decision of an operator about event i, which may be nil.
	// operations is nil for webhooks.
	operations []*operation

	// Each call of judge resets the fields below.

	stored    *Snapshot
	histories *Histories
	orders    map[string]*history[Order]
	disputes  map[DisputeKey]*history[Dispute]
	// recorded holds the recorded events of the snapshot and those of this batch.
	recorded map[Key]Recorded
	changes  *Changes
	// raced is set when the data that was read is inconsistent because another writer
	// committed meanwhile.
	raced bool
	// operated holds the operations on the events of each history, in order.
	operated map[Subject][]operated
	// entangled is set when an operation must be in a later commit.
	entangled *entangledError
	// apart holds events outside of all histories.
	apart []*entry
	// lettered holds the dead letters in changes. A statement cannot write a row twice,
	// so a repeated one only raises the number of deliveries.
	lettered map[letterID]*DeadLetter
}

type letterID struct {
	key    Key
	digest Digest
}

func newBatch(updates []*payrelayv1.Update, now time.Time, l *limits) *batch {
	b := &batch{now: now, limits: l, events: make([]*Event, len(updates)), letters: make([]*DeadLetter, len(updates))}
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
	keys, orders, disputes := newUnique[Key](), newUnique[string](), newUnique[DisputeKey]()
	for _, e := range b.events {
		if e == nil {
			continue
		}
		keys.add(e.Key)
		switch e.Key.Kind {
		case KindOrder:
			orders.add(e.Update.GetOrderId())
		case KindDispute:
			disputes.add(e.Dispute())
		}
	}
	return Lookup{keys.items, Subjects{orders.items, disputes.items}}
}

// judge judges every event against the stored state and the events before it in
// the batch. It returns the orders and disputes whose history must be read before
// judge is called again. If it returns none, the verdicts are final.
// The result depends only on the batch and the arguments.
func (b *batch) judge(stored *Snapshot, histories *Histories) (incomplete Subjects) {
	b.stored, b.histories = stored, histories
	b.orders, b.disputes = make(map[string]*history[Order]), make(map[DisputeKey]*history[Dispute])
	b.recorded, b.lettered = make(map[Key]Recorded), make(map[letterID]*DeadLetter)
	maps.Copy(b.recorded, stored.Recorded)
	b.changes, b.apart, b.raced = new(Changes), nil, false
	b.operated, b.entangled = nil, nil
	for i, e := range b.events {
		switch {
		case b.entangled != nil:
			return incomplete
		case b.operations != nil:
			b.operate(i)
		case e == nil:
			b.deadLetter(b.letters[i])
		default:
			b.judgeEvent(e)
		}
	}
	for id, h := range b.orders {
		if h.incomplete {
			incomplete.Orders = append(incomplete.Orders, id)
		}
	}
	for key, h := range b.disputes {
		if h.incomplete {
			incomplete.Disputes = append(incomplete.Disputes, key)
		}
	}
	return incomplete
}

// collect completes the changes, once everything is judged.
func (b *batch) collect() {
	for _, e := range b.apart {
		b.write(e)
	}
	for _, id := range slices.Sorted(maps.Keys(b.orders)) {
		if h := b.orders[id]; collectHistory(b, h) {
			b.changes.Orders = append(b.changes.Orders, &h.Aggregate)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(b.disputes), DisputeKey.compare) {
		if h := b.disputes[key]; collectHistory(b, h) {
			b.changes.Disputes = append(b.changes.Disputes, &h.Aggregate)
		}
	}
	b.audit()
}

// judgeEvent sets the verdict of an event. A later event of the batch may revise it.
func (b *batch) judgeEvent(e *Event) {
	e.Verdict, e.Reason = payrelayv1.Verdict_VERDICT_UNSPECIFIED, noReason
	known, seen := b.recorded[e.Key]
	switch {
	case seen && (known.Facts == e.Facts || known.Body != nil && *known.Body == Digest(BodyDigest(e.Update))):
		e.Verdict = payrelayv1.Verdict_VERDICT_DUPLICATE
	case seen:
		e.refuse(payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT)
		b.deadLetter(newDeadLetter(e, e.Update, b.now))
	default:
		b.changes.Events = append(b.changes.Events, e)
		b.record(newEntry(e))
	}
}

// record adds an event to the history of its order or dispute, or to the events outside
// of all histories.
func (b *batch) record(e *entry) {
	switch {
	case e.Key.Kind == KindNote:
		e.Verdict = payrelayv1.Verdict_VERDICT_APPLIED // it changes no state
		b.apart = append(b.apart, e)
	case e.at.Rank == 0:
		e.Forced = false // an unknown status cannot be applied
		e.refuse(payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS)
		b.apart = append(b.apart, e)
	case e.at.At.After(b.now.Add(maxAhead)) && !e.Forced:
		e.refuse(payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_FUTURE_TIME)
		b.apart = append(b.apart, e)
	case e.Key.Kind == KindOrder:
		b.order(e.Update.GetOrderId()).record(e)
	default:
		b.dispute(e.Dispute()).record(e)
	}
	b.recorded[e.Key] = Recorded{Facts: e.Facts, InHistory: e.InHistory()}
}

// deadLetter adds a dead letter to the changes, or counts one more delivery if it is
// already there.
func (b *batch) deadLetter(l *DeadLetter) {
	id := letterID{l.Key, l.Digest}
	if known := b.lettered[id]; known != nil {
		known.Deliveries++
		return
	}
	copied := *l
	b.lettered[id] = &copied
	b.changes.DeadLetters = append(b.changes.DeadLetters, &copied)
}

// write adds a judged event and its dead letter to the changes, unless its recorded
// judgement is unchanged. It reports whether a recorded judgement changed.
func (b *batch) write(e *entry) (revised bool) {
	if e.stored != nil {
		if *e.stored == e.judgement() {
			return false
		}
		b.changes.Revised = append(b.changes.Revised, e.Event)
	}
	switch {
	case e.refused() && !e.Discarded:
		b.deadLetter(newDeadLetter(e.Event, withoutBody(e.Update), b.now))
	case e.stored != nil && e.stored.verdict == payrelayv1.Verdict_VERDICT_DEAD_LETTERED:
		b.settle(e.Key, e.Facts)
	}
	return e.stored != nil
}

// settle closes a dead letter. The resolution is the operator's decision if one is about
// this dead letter, and otherwise Reapplied.
func (b *batch) settle(key Key, digest Digest) {
	for _, o := range b.operations {
		if letter := o.letter; letter.Key == key && letter.Digest == digest && letter.Resolution == "" {
			b.settleLetter(o)
			return
		}
	}
	b.changes.Settled = append(b.changes.Settled, Settlement{Key: key, Digest: digest, Resolution: Reapplied, At: b.now})
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

// operate judges the event of operation i. It sets entangled if the operation and an
// earlier one of the batch are not independent.
func (b *batch) operate(i int) {
	o := b.operations[i]
	o.settled = false
	if o.event == nil {
		if o.letter.Resolution == "" {
			b.settleLetter(o)
		}
		return
	}
	o.before = b.stateOf(o.event)
	of := o.event.subject()
	earlier := b.operated[of]
	if known := b.entryOf(o.event); len(earlier) > 0 && known != nil && *known.stored != known.judgement() {
		b.entangled = &entangledError{i}
		return
	}
	b.judgeOperation(o)
	o.after = b.stateOf(o.event)
	if slices.ContainsFunc(earlier, func(other operated) bool { return other.entry.judgement() != other.decided }) {
		b.entangled = &entangledError{i}
	}
	if entry := b.entryOf(o.event); entry != nil {
		if b.operated == nil {
			b.operated = make(map[Subject][]operated)
		}
		b.operated[of] = append(earlier, operated{entry, entry.judgement()})
	}
}

// judgeOperation judges the event of an operation as the operator decided.
func (b *batch) judgeOperation(o *operation) {
	e, letter, known := o.event, o.letter, b.recorded[o.event.Key]
	e.Verdict, e.Reason = payrelayv1.Verdict_VERDICT_UNSPECIFIED, noReason
	e.Forced = o.Resolution == Accepted
	e.Discarded = o.Resolution == Discarded
	if e.Discarded {
		e.refuse(letter.Reason)
	}
	switch {
	case reasons[letter.Reason].whole, o.isConflict() && e.Forced:
		// The update becomes an event now. Its dead letter is settled, unless the event
		// is refused and has the same dead letter with a new reason.
		b.judgeEvent(e)
		if letter.Resolution == "" && (!e.refused() || letter.Key != e.Key || letter.Digest != e.Facts) {
			b.settleLetter(o)
		}
	case known.Facts != e.Facts:
		e.refuse(payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT)
	case known.InHistory && e.Key.Kind == KindOrder:
		b.raced = !b.order(e.Update.GetOrderId()).revise(e) || b.raced
	case known.InHistory:
		b.raced = !b.dispute(e.Dispute()).revise(e) || b.raced
	case letter.Resolution == Discarded:
	default:
		again := newEntry(e)
		again.stored = &judgement{verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, reason: letter.Reason}
		if e.Discarded {
			b.apart = append(b.apart, again)
		} else {
			b.record(again)
		}
	}
}

// settleLetter closes the dead letter of an operation.
func (b *batch) settleLetter(o *operation) {
	o.settled = true
	b.changes.Settled = append(b.changes.Settled, Settlement{
		Key: o.letter.Key, Digest: o.letter.Digest, Resolution: o.Resolution, At: b.now, By: o.By, Why: o.Why,
	})
}

// unique is a list of distinct items in the order in which they were added.
type unique[T comparable] struct {
	seen  map[T]bool
	items []T
}

func newUnique[T comparable]() *unique[T] { return &unique[T]{seen: make(map[T]bool)} }

func (s *unique[T]) add(item T) {
	if !s.seen[item] {
		s.seen[item] = true
		s.items = append(s.items, item)
	}
}
