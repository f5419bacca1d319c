package payments

import (
	"slices"
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// entry is an event in work: recorded before, or new in this batch.
type entry struct {
	*Event
	at Position
	// was is the verdict and reason that are stored; nil for a new event.
	was *judgement
}

type judgement struct {
	verdict payrelayv1.Verdict
	reason  payrelayv1.DeadLetterReason
}

func freshEntry(e *Event) *entry { return &entry{Event: e, at: e.position()} }

// recordedEntry works on a copy: the event is the store's.
func recordedEntry(e *Event) *entry {
	event := *e
	return &entry{Event: &event, at: e.position(), was: &judgement{e.Verdict, e.Reason}}
}

func (e *entry) judge(reason payrelayv1.DeadLetterReason) {
	e.Reason = reason
	switch {
	case reason != noReason:
		e.Verdict = payrelayv1.Verdict_VERDICT_DEAD_LETTERED
	case e.refused() || e.Verdict == payrelayv1.Verdict_VERDICT_UNSPECIFIED:
		e.Verdict = payrelayv1.Verdict_VERDICT_APPLIED
	}
}

// track is the history of one order or one dispute and the state it folds to.
type track[S comparable] struct {
	Folded[S]
	// step is the state machine: the state after the update, or why not.
	step  func(S, *payrelayv1.Update) (S, payrelayv1.DeadLetterReason)
	start S
	// entries is the history in its order, and after[i] the state after
	// entries[i]; complete only where the history was loaded.
	entries []*entry
	after   []S
	// dirty says that the state or the head are not the stored ones.
	dirty bool
}

// isNewer says that the event comes after all that is known: it is one step of
// the state machine, and the history need not be read.
func (t *track[S]) isNewer(e *entry) bool { return e.at.After(t.Head) }

// append takes the step of a newer event.
func (t *track[S]) append(e *entry) {
	next, reason := t.step(t.State, e.Update)
	e.judge(reason)
	t.State, t.Head, t.dirty = next, e.at, true
	t.entries, t.after = append(t.entries, e), append(t.after, next)
}

// insert puts a late event into its place and folds the history from there on.
func (t *track[S]) insert(e *entry) {
	place, _ := slices.BinarySearchFunc(t.entries, e, compareEntries)
	t.entries = slices.Insert(t.entries, place, e)
	t.after = slices.Insert(t.after, place, t.until(place))
	before := t.State
	t.foldFrom(place)
	if !e.refused() && t.State == before {
		e.Verdict = payrelayv1.Verdict_VERDICT_STALE
	}
}

// fold judges every event of the history in its order.
func (t *track[S]) fold() {
	t.after = t.after[:0]
	t.foldFrom(0)
}

// foldFrom judges the events from a place on. Where it comes to the state that
// was known there, what follows stays as it was: many late events do not each
// walk a long history to its end.
func (t *track[S]) foldFrom(place int) {
	state := t.until(place)
	for i := place; i < len(t.entries); i++ {
		next, reason := t.step(state, t.entries[i].Update)
		t.entries[i].judge(reason)
		if i == len(t.after) {
			t.after = append(t.after, next)
		} else if t.after[i] == next {
			return
		}
		t.after[i], state = next, next
	}
	t.dirty = t.dirty || t.State != state
	t.State = state
}

// until is the state before the entry at a place.
func (t *track[S]) until(place int) S {
	if place == 0 {
		return t.start
	}
	return t.after[place-1]
}

func compareEntries(a, b *entry) int {
	if c := a.at.compare(b.at); c != 0 {
		return c
	}
	return strings.Compare(a.Key.Provider, b.Key.Provider)
}
