package payments

import (
	"iter"
	"maps"
	"slices"
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// aggregate is an order with its disputes while a batch is judged. It is stored as
// an [Aggregate], under one version.
type aggregate struct {
	orderID  string
	version  int64
	order    *history[Order]
	disputes map[string]*history[Dispute]
	// complete reports whether the histories hold every recorded event. Without
	// them only an event that is newer than all others can be judged.
	complete bool
	// incomplete is set when an event could not be judged for lack of the history.
	incomplete bool
}

// newAggregate returns the aggregate as stored; stored is nil for a new order.
// recorded holds its events, and complete reports whether they were read.
func newAggregate(orderID string, stored *Aggregate, recorded []*Event, complete bool) *aggregate {
	a := &aggregate{orderID: orderID, disputes: make(map[string]*history[Dispute]), complete: complete}
	a.order = newHistory(Order{ID: orderID}, stepOrder)
	if stored != nil {
		a.version, a.order.Folded = stored.Version, stored.Order
		for _, d := range stored.Disputes {
			a.dispute(d.State.ID).Folded = d
		}
	}
	for _, e := range recorded {
		if r := recordedEntry(e); e.IsDispute() {
			h := a.dispute(e.DisputeID())
			h.entries = append(h.entries, r)
		} else {
			a.order.entries = append(a.order.entries, r)
		}
	}
	if complete {
		// The rules may have changed since the events were recorded. The order comes
		// first, because its disputes must be in its currency.
		a.order.refold()
		for _, d := range a.disputes {
			d.refold()
		}
	}
	return a
}

// dispute returns the history of a dispute, an empty one if the order has no such
// dispute yet.
func (a *aggregate) dispute(id string) *history[Dispute] {
	h, known := a.disputes[id]
	if !known {
		h = newHistory(Dispute{ID: id, OrderID: a.orderID}, func(d Dispute, u *payrelayv1.Update) (Dispute, payrelayv1.DeadLetterReason) {
			return stepDispute(d, u, a.order.State.Amount)
		})
		a.disputes[id] = h
	}
	return h
}

// record judges an event and puts it into its history.
func (a *aggregate) record(e *entry) {
	currency := a.order.State.Amount.Currency
	var added bool
	if e.IsDispute() {
		added = a.dispute(e.DisputeID()).add(e, a.complete)
	} else {
		added = a.order.add(e, a.complete)
	}
	// The disputes must be in the currency of their order, and may be older than it.
	rejudge := currency != a.order.State.Amount.Currency && len(a.disputes) > 0
	if !added || rejudge && !a.complete {
		a.incomplete = true
	} else if rejudge {
		for _, d := range a.disputes {
			d.refold()
		}
	}
}

// entries yields the events of all histories, those of the order first.
func (a *aggregate) entries() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, e := range a.order.entries {
			if !yield(e) {
				return
			}
		}
		for _, id := range slices.Sorted(maps.Keys(a.disputes)) {
			for _, e := range a.disputes[id].entries {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// stored returns the aggregate as [Changes] hold it: only with the disputes that
// changed.
func (a *aggregate) stored() *Aggregate {
	s := &Aggregate{OrderID: a.orderID, Version: a.version, Order: a.order.Folded}
	for _, id := range slices.Sorted(maps.Keys(a.disputes)) {
		if a.disputes[id].changed {
			s.Disputes = append(s.Disputes, a.disputes[id].Folded)
		}
	}
	return s
}

// history holds the events of one order or one dispute by position, and the state
// that they fold to.
type history[S comparable] struct {
	Folded[S]
	start S
	// step is the state machine: it returns the state after an update, or the
	// reason why the update is refused.
	step func(S, *payrelayv1.Update) (S, payrelayv1.DeadLetterReason)
	// entries holds every event if the history is complete, and otherwise the new
	// ones. after[i] is the state after entries[i].
	entries []*entry
	after   []S
	// changed reports whether the state or the head differ from the stored ones.
	changed bool
}

func newHistory[S comparable](start S, step func(S, *payrelayv1.Update) (S, payrelayv1.DeadLetterReason)) *history[S] {
	return &history[S]{Folded: Folded[S]{State: start}, start: start, step: step}
}

// add judges an event and puts it in its place. An event that is newer than all
// others is one step of the state machine, which is the hot path; a late one needs
// the complete history. Without that, add does nothing and returns false.
func (h *history[S]) add(e *entry, complete bool) bool {
	if e.at.After(h.Head) {
		next, reason := h.step(h.State, e.Update)
		e.judge(reason)
		h.State, h.Head, h.changed = next, e.at, true
		h.entries, h.after = append(h.entries, e), append(h.after, next)
		return true
	}
	if !complete {
		return false
	}
	place, _ := slices.BinarySearchFunc(h.entries, e, compareEntries)
	h.entries = slices.Insert(h.entries, place, e)
	h.after = slices.Insert(h.after, place, h.before(place))
	previous := h.State
	h.fold(place)
	if !e.refused() && h.State == previous {
		e.Verdict = payrelayv1.Verdict_VERDICT_STALE
	}
	return true
}

// refold sorts a complete history and judges all of its events again.
func (h *history[S]) refold() {
	slices.SortFunc(h.entries, compareEntries)
	h.after = h.after[:0]
	h.fold(0)
}

// fold judges the events from a place on. It stops where it reaches the state that
// was known there, so that many late events do not each walk to the end of a long
// history.
func (h *history[S]) fold(place int) {
	state := h.before(place)
	for i := place; i < len(h.entries); i++ {
		next, reason := h.step(state, h.entries[i].Update)
		h.entries[i].judge(reason)
		if i == len(h.after) {
			h.after = append(h.after, next)
		} else if h.after[i] == next {
			return
		}
		h.after[i], state = next, next
	}
	h.changed = h.changed || h.State != state
	h.State = state
}

// before returns the state before the entry at a place.
func (h *history[S]) before(place int) S {
	if place == 0 {
		return h.start
	}
	return h.after[place-1]
}

// entry is an event in a history: one recorded before, or a new one.
type entry struct {
	*Event
	at Position
	// stored is the recorded judgement; nil for a new event.
	stored *judgement
}

type judgement struct {
	verdict payrelayv1.Verdict
	reason  payrelayv1.DeadLetterReason
}

func newEntry(e *Event) *entry { return &entry{Event: e, at: e.position()} }

// recordedEntry returns an entry with a copy of the event, because the event
// itself belongs to the store.
func recordedEntry(e *Event) *entry {
	event := *e
	return &entry{Event: &event, at: e.position(), stored: &judgement{e.Verdict, e.Reason}}
}

// judge sets the verdict that the state machine gives. An event that was recorded
// as STALE stays STALE as long as its step is legal.
func (e *entry) judge(reason payrelayv1.DeadLetterReason) {
	switch {
	case reason != noReason:
		e.refuse(reason)
	case e.refused() || e.Verdict == payrelayv1.Verdict_VERDICT_UNSPECIFIED:
		e.Verdict, e.Reason = payrelayv1.Verdict_VERDICT_APPLIED, noReason
	}
}

func compareEntries(a, b *entry) int {
	if c := a.at.compare(b.at); c != 0 {
		return c
	}
	return strings.Compare(a.Key.Provider, b.Key.Provider)
}
