package payments

import (
	"slices"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// machine is the state machine of orders or of disputes.
type machine[S comparable] struct {
	// step returns the state after an update, or the reason why the update is refused.
	step func(state S, u *payrelayv1.Update, forced bool) (S, payrelayv1.DeadLetterReason)
	// first returns the field of a state that only the first update sets and no step
	// reads. A late update that becomes the first one changes this field in all later
	// states, but need not change anything else in them.
	first func(state *S) *time.Time
	// subject returns the order or dispute that a state belongs to.
	subject func(state *S) Subject
}

var (
	orderMachine = &machine[Order]{stepOrder,
		func(o *Order) *time.Time { return &o.CreatedAt },
		func(o *Order) Subject { return Subject{Order: o.ID} }}
	disputeMachine = &machine[Dispute]{stepDispute,
		func(d *Dispute) *time.Time { return &d.OpenedAt },
		func(d *Dispute) Subject { return Subject{Dispute: d.DisputeKey} }}
)

// history holds the events of one order or dispute, sorted by position, and the state
// folded from them.
type history[S comparable] struct {
	Aggregate[S]
	*machine[S]
	limits *limits
	start  S
	// entries holds all events if the history is complete, and otherwise the new ones.
	// after[i] is the state after entries[i].
	entries []*entry
	after   []S
	// complete reports whether all recorded events were read. Otherwise only an event
	// that is newer than all others can be judged.
	complete bool
	// incomplete is set when events could not be judged for lack of the history; these
	// are then in unjudged.
	incomplete bool
	unjudged   *unjudged
	// changed is set when an event was recorded.
	changed bool
	// checkpoints holds the changes of the checkpoints; nil if there are none.
	checkpoints *Checkpoints
}

// unjudged holds the new events of a history that must be read, or the recorded one
// that an operator decided about.
type unjudged struct {
	late     []*entry
	revision *entry
}

// newHistory returns the history of an aggregate as it is stored; nil for a new one.
func newHistory[S comparable](m *machine[S], start S, stored *Aggregate[S], l *limits) *history[S] {
	h := &history[S]{Aggregate: Aggregate[S]{State: start}, machine: m, limits: l, start: start, complete: stored == nil}
	if stored != nil {
		h.Aggregate = *stored
	}
	return h
}

// read adds all recorded events and folds them.
func (h *history[S]) read(recorded []*Event) {
	for _, e := range recorded {
		h.entries = append(h.entries, recordedEntry(e))
	}
	h.complete = true
	// The rules may have changed since the events were recorded.
	slices.SortFunc(h.entries, compareEntries)
	h.fold(0)
	h.moveHead()
	h.Rules, h.Events = Rules, len(h.entries)
}

// record judges an event and inserts it at its position. The hot path is an event that
// is newer than all others, which takes one step of the state machine. A late event
// needs the complete history.
func (h *history[S]) record(e *entry) {
	if e.at.After(h.Head) && (h.complete || h.Rules == Rules) {
		next, reason := h.step(h.State, e.Update, e.Forced)
		e.judge(reason)
		h.count(e)
		h.State, h.Head, h.Rules, h.changed = next, e.at, Rules, true
		h.entries, h.after = append(h.entries, e), append(h.after, next)
		return
	}
	if !h.complete {
		if !h.incomplete {
			h.incomplete, h.unjudged = true, new(unjudged)
		}
		h.unjudged.late = append(h.unjudged.late, e)
		return
	}
	h.checkpoints = nil // new checkpoints may be after this event
	h.Events++
	place, _ := slices.BinarySearchFunc(h.entries, e, compareEntries)
	h.entries = slices.Insert(h.entries, place, e)
	h.after = slices.Insert(h.after, place, h.before(place))
	previous := h.State
	h.fold(place)
	h.changed = true
	if !e.refused() && h.State == previous {
		e.Verdict = payrelayv1.Verdict_VERDICT_STALE
	}
}

// fold judges the events from an index on. It stops when it reaches a state equal to
// the one already stored in after, so that a late event is not folded to the end of a
// long history if it changes nothing there.
func (h *history[S]) fold(place int) {
	state := h.before(place)
	for i := place; i < len(h.entries); i++ {
		next := state
		if e := h.entries[i]; !e.Discarded {
			after, reason := h.step(state, e.Update, e.Forced)
			e.judge(reason)
			next = after
		}
		if i == len(h.after) {
			h.after = append(h.after, next)
		} else if h.after[i] == next {
			return
		}
		h.after[i], state = next, next
	}
	h.State = state
}

// moveHead sets the head to the position of the newest event that is not discarded. The
// history must be complete.
func (h *history[S]) moveHead() {
	head := Position{}
	for _, e := range h.entries {
		if !e.Discarded {
			head = e.at
		}
	}
	h.Head = head
}

// before returns the state before the entry at an index.
func (h *history[S]) before(place int) S {
	if place == 0 {
		return h.start
	}
	return h.after[place-1]
}

// entry is a recorded or new event of a history.
type entry struct {
	*Event
	at Position
	// stored is the recorded judgement; nil for a new event.
	stored *judgement
}

type judgement struct {
	verdict           payrelayv1.Verdict
	reason            payrelayv1.DeadLetterReason
	forced, discarded bool
}

func (e *Event) judgement() judgement { return judgement{e.Verdict, e.Reason, e.Forced, e.Discarded} }

func newEntry(e *Event) *entry { return &entry{Event: e, at: e.position()} }

// recordedEntry returns an entry with a copy of the event, because the store may keep
// the original.
func recordedEntry(e *Event) *entry {
	event, stored := *e, e.judgement()
	return &entry{Event: &event, at: e.position(), stored: &stored}
}

// judge sets the verdict for the reason that the state machine returned. A recorded
// STALE stays STALE if the step is legal.
func (e *entry) judge(reason payrelayv1.DeadLetterReason) {
	switch {
	case reason != noReason:
		e.refuse(reason)
	case e.refused() || e.Verdict == payrelayv1.Verdict_VERDICT_UNSPECIFIED:
		e.Verdict, e.Reason = payrelayv1.Verdict_VERDICT_APPLIED, noReason
	}
}

func compareEntries(a, b *entry) int { return a.at.compare(b.at) }

// revise judges a recorded event again, which needs the complete history. It forces or
// discards the event if e is forced or discarded. It reports whether the event is in the
// history, from which another operator may have discarded it.
func (h *history[S]) revise(e *Event) bool {
	if !h.complete {
		h.incomplete, h.unjudged = true, &unjudged{revision: newEntry(e)}
		return true
	}
	found := false
	for i, recorded := range h.entries {
		if recorded.Key == e.Key {
			found = true
			if recorded.decide(e) {
				h.fold(i)
			}
			if e.Discarded {
				h.moveHead()
			}
			e.Verdict, e.Reason = recorded.Verdict, recorded.Reason
		}
	}
	return found
}

// decide forces or discards a recorded event as the operator did with e. It reports
// whether the history must be folded again.
func (recorded *entry) decide(e *Event) bool {
	if !e.Forced && !e.Discarded {
		return false
	}
	recorded.Forced, recorded.Discarded = e.Forced, e.Discarded
	if e.Discarded {
		recorded.refuse(e.Reason)
	}
	return true
}

// operated is an operation on an event of a history that is judged, and the judgement
// right after it.
type operated struct {
	entry   *entry
	decided judgement
}

// entryOf returns the entry of an event in its history, or nil if it is in none or that has
// not been read.
func (b *batch) entryOf(e *Event) *entry {
	var entries []*entry
	switch e.Key.Kind {
	case KindOrder:
		entries = b.order(e.Update.GetOrderId()).entries
	case KindDispute:
		entries = b.dispute(e.Dispute()).entries
	}
	for _, entry := range entries {
		if entry.Key == e.Key {
			return entry
		}
	}
	return nil
}

func (b *batch) order(id string) *history[Order] {
	h, open := b.orders[id]
	if !open {
		h = newHistory(orderMachine, Order{ID: id}, b.stored.Orders[id], b.limits)
		if events, read := b.histories.Orders[id]; read {
			h.read(events)
		}
		b.orders[id] = h
	}
	return h
}

func (b *batch) dispute(key DisputeKey) *history[Dispute] {
	h, open := b.disputes[key]
	if !open {
		h = newHistory(disputeMachine, Dispute{DisputeKey: key}, b.stored.Disputes[key], b.limits)
		if events, read := b.histories.Disputes[key]; read {
			h.read(events)
		}
		b.disputes[key] = h
	}
	return h
}

// collectHistory adds what must be stored about the events of a history to the
// changes. It reports whether the order or dispute changed.
func collectHistory[S comparable](b *batch, h *history[S]) bool {
	changed := h.changed
	for _, e := range h.entries {
		changed = b.write(e) || changed
	}
	if h.checkpoints != nil {
		b.changes.Checkpoints = append(b.changes.Checkpoints, h.checkpoints)
	}
	return changed
}
