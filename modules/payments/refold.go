package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// count counts an event that is newer than all others, and adds a checkpoint before it
// once in a while. Events of one instant are never divided: where a checkpoint is due
// among them, the count stands still until the next instant.
func (h *history[S]) count(e *entry) {
	if h.Events >= h.limits.whole && h.Events%h.limits.interval == 0 {
		if !e.at.At.After(h.Head.At) {
			return
		}
		if h.checkpoints == nil {
			h.checkpoints = &Checkpoints{Of: h.subject(&h.State)}
		}
		h.checkpoints.New = append(h.checkpoints.New, newCheckpoint(e.at.At, h.State))
	}
	h.Events++
}

func newCheckpoint[S any](before time.Time, state S) Checkpoint {
	text, err := json.Marshal(state)
	if err != nil {
		panic(err) // strings, numbers and times up to the year 9999 can always be encoded
	}
	return Checkpoint{Before: before, State: string(text), Rules: Rules}
}

// stateOf returns the state of a checkpoint. usable reports whether this release can
// use it.
func stateOf[S any](c *Checkpoint) (state S, usable bool) {
	if c == nil || c.Rules != Rules {
		return state, false
	}
	decoder := json.NewDecoder(strings.NewReader(c.State))
	decoder.DisallowUnknownFields()
	return state, decoder.Decode(&state) == nil
}

// errOneByOne means that several late events of a long history must be applied one by
// one, because their places are far from each other, or to tell which of them changed
// the state.
var errOneByOne = errors.New("the late events must be applied one by one")

// refold folds a long history again, with the events that were late or revised: page
// by page, from the checkpoint before the first to where the state is the one that
// it was without them, or to the end. After the number of events that one commit may
// have it leaves the rest pending.
func (h *history[S]) refold(ctx context.Context, store Store) error {
	f := &refolding[S]{history: h}
	if h.unjudged != nil {
		f.unjudged = *h.unjudged
	}
	f.missing, f.inserted = slices.Clone(f.late), len(f.late) == 0 && f.revision == nil
	if err := f.begin(ctx, store); err != nil {
		return err
	}
	for folded := 0; ; {
		page, err := store.HistoryPage(ctx, h.checkpoints.Of, f.from, h.limits.page)
		if err != nil {
			return fmt.Errorf("read a page of a long history: %w", err)
		}
		var at time.Time // where the state is the same as before
		if err := guard(func() { at = f.foldPage(page) }); err != nil {
			return err
		}
		folded += len(page.Events)
		switch {
		case !at.IsZero():
			return f.finish(at)
		case page.Next.IsZero() && !f.inserted:
			return ErrRaced // another operator has discarded the event
		case page.Next.IsZero():
			return f.finish(time.Time{})
		case len(f.late) > 1 && folded >= 4*f.limits.page:
			return errOneByOne
		case f.inserted && folded >= h.limits.commit:
			f.pause(page.Next)
			return nil
		}
		f.from = page.Next
	}
}

// refolding is the state of one call of refold.
type refolding[S comparable] struct {
	*history[S]
	// from is the time of the first event that is still to be read.
	from time.Time
	unjudged
	isLate map[*entry]bool
	// missing are the late events whose place is still to come, by position.
	missing []*entry
	// state is the fold so far, and known the fold without the late or revised events.
	state, known S
	// comparable reports whether known follows the fold of the stored state, so that the
	// two can converge.
	comparable bool
	// inserted reports whether the late or revised event has been folded.
	inserted bool
	// last is the position of the newest event so far. since is the number of events
	// after the last checkpoint.
	last  Position
	since int
	// passed is the number of late events that are folded.
	passed int
}

// begin finds the checkpoint from which on the history must be folded.
func (f *refolding[S]) begin(ctx context.Context, store Store) error {
	f.state, f.isLate = f.start, make(map[*entry]bool, len(f.late))
	for _, e := range f.late {
		f.isLate[e] = true
	}
	f.checkpoints = &Checkpoints{Of: f.subject(&f.State), Replace: true}
	at := f.Pending
	switch {
	case f.Rules != Rules: // from the start
		f.Events = max(f.Events, f.limits.whole)
		return nil
	case len(f.late) > 0:
		slices.SortFunc(f.missing, compareEntries)
		at, f.comparable = f.missing[0].at.At, true
	case f.revision != nil:
		at, f.comparable = f.revision.at.At, true
	}
	c, err := store.Checkpoint(ctx, f.checkpoints.Of, at)
	if err != nil {
		return fmt.Errorf("read a checkpoint of a long history: %w", err)
	}
	if state, usable := stateOf[S](c); usable {
		if f.Pending.IsZero() { // this field may be outdated in a checkpoint
			*f.first(&state) = *f.first(&f.State)
		}
		f.state, f.from = state, c.Before
	}
	f.known, f.checkpoints.From = f.state, at
	return nil
}

// entries returns the events of a page, sorted by position. They include the late event
// if it belongs there.
func (f *refolding[S]) entries(page *HistoryPage) []*entry {
	entries := make([]*entry, 0, len(page.Events)+len(f.missing))
	for _, e := range page.Events {
		entries = append(entries, recordedEntry(e))
	}
	here := 0
	for here < len(f.missing) && (page.Next.IsZero() || f.missing[here].at.At.Before(page.Next)) {
		here++
	}
	entries, f.missing = append(entries, f.missing[:here]...), f.missing[here:]
	slices.SortFunc(entries, compareEntries)
	return entries
}

// foldPage folds the events of a page until the state is the one that it was without the
// late or revised event. It returns the time of that event, or zero at the end of the page.
func (f *refolding[S]) foldPage(page *HistoryPage) time.Time {
	for _, e := range f.entries(page) {
		if f.fold(e); f.converged() {
			return e.at.At
		}
	}
	return time.Time{}
}

// fold takes one step in both folds, with and without the late or revised event.
func (f *refolding[S]) fold(e *entry) {
	if f.since >= f.limits.interval && e.at.At.After(f.last.At) {
		f.checkpoints.New = append(f.checkpoints.New, newCheckpoint(e.at.At, f.state))
		f.since = 0
	}
	f.since++
	late := f.isLate[e]
	if f.comparable && !late && !e.Discarded {
		f.known, _ = f.step(f.known, e.Update, e.Forced)
	}
	if f.revision != nil && e.Key == f.revision.Key {
		f.inserted = true
		e.decide(f.revision.Event)
	}
	if !e.Discarded {
		state, reason := f.step(f.state, e.Update, e.Forced)
		e.judge(reason)
		f.state, f.last = state, e.at
	}
	if f.revision != nil && e.Key == f.revision.Key {
		f.revision.Verdict, f.revision.Reason = e.Verdict, e.Reason
	}
	if late {
		f.passed++
		f.inserted = f.passed == len(f.late)
	}
	if late || *e.stored != e.judgement() {
		f.history.entries = append(f.history.entries, e)
	}
}

// converged reports whether the late or revised event changes nothing in the rest of the
// history, except for the field that no step reads.
func (f *refolding[S]) converged() bool {
	if !f.comparable || !f.inserted {
		return false
	}
	state, known := f.state, f.known
	first, knownFirst := f.first(&state), f.first(&known)
	if !first.IsZero() && !knownFirst.IsZero() {
		*first = *knownFirst
	}
	return state == known
}

// finish completes the walk where it converged, or at the end of the history.
func (f *refolding[S]) finish(converged time.Time) error {
	previous := f.State
	if f.checkpoints.To = converged; converged.IsZero() {
		f.State = f.state
		if f.last.After(f.Head) || f.Rules != Rules {
			f.Head = f.last
		}
	} else {
		*f.first(&f.State) = *f.first(&f.state)
	}
	if len(f.late) > 1 && f.State != previous {
		return errOneByOne
	}
	f.Events += len(f.late)
	for _, e := range f.late {
		if !e.refused() && f.State == previous {
			e.Verdict = payrelayv1.Verdict_VERDICT_STALE
		}
	}
	f.Rules, f.Pending = Rules, time.Time{}
	f.complete, f.changed, f.incomplete = true, true, false
	return nil
}

// pause leaves the rest of the history, from a time on, pending for the next commit.
func (f *refolding[S]) pause(at time.Time) {
	f.checkpoints.To = at
	f.checkpoints.New = append(f.checkpoints.New, newCheckpoint(at, f.state))
	f.Events += len(f.late)
	f.Rules, f.Pending = Rules, at
	f.changed, f.incomplete = true, false
}
