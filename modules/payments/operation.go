package payments

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

// ErrNotJudgeable means that a dead letter holds no update that this release can
// judge.
var ErrNotJudgeable = errors.New("it is not an update that can be judged: discard it, and have the provider send it again")

// ErrSettled means that a dead letter is already settled.
var ErrSettled = errors.New("it is settled already")

// Decision is what an operator decided about dead letters.
type Decision struct {
	// Resolution is Replayed, Accepted or Discarded.
	Resolution Resolution
	// By is the name of the operator, and Why the reason.
	By, Why string
	// Dry means that the decision is only judged, for each dead letter alone, and nothing
	// is written.
	Dry bool
}

// Decided is the result of a decision about one dead letter.
type Decided struct {
	ID int64
	// Outcome is the new verdict. It is nil if the dead letter was discarded, or if Err is
	// not nil.
	Outcome *payrelayv1.Outcome
	// Err is the reason why nothing was done: [ErrNotFound], [ErrSettled],
	// [ErrNotJudgeable] or [ErrPanic]. It is nil otherwise.
	Err error
}

// Decide carries out a decision about dead letters, each at most once, and records it in
// the audit log. The results are in the order of the ids. If Decide returns an error, some
// of the dead letters may have been settled.
func (l *Ledger) Decide(ctx context.Context, ids []int64, d Decision) ([]Decided, error) {
	results := make([]Decided, len(ids))
	for i, id := range ids {
		outcome, err := l.operate(ctx, operation{id: id, resolution: d.Resolution, by: d.By, why: d.Why, dry: d.Dry})
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrSettled), errors.Is(err, ErrNotJudgeable), errors.Is(err, ErrPanic):
			results[i] = Decided{ID: id, Err: err}
		case err != nil:
			return results, fmt.Errorf("decide about dead letter %d: %w", id, err)
		case d.Resolution == Discarded:
			results[i] = Decided{ID: id}
		default:
			results[i] = Decided{ID: id, Outcome: outcome}
		}
	}
	return results, nil
}

// operation is the decision of an operator about a dead letter.
type operation struct {
	id         int64
	letter     *DeadLetter
	resolution Resolution
	by, why    string
	// dry means that nothing is written. Only Judge sets it.
	dry bool
}

// Replay judges a dead letter again and returns the new verdict. A replay succeeds if the
// reason no longer applies: the future time has passed, this release knows the status, or
// the rules have changed. Otherwise the dead letter stays open. The error is [ErrNotFound]
// if there is no such dead letter, [ErrSettled] if an operator accepted or discarded it,
// and [ErrNotJudgeable] if it holds no update that can be judged.
func (l *Ledger) Replay(ctx context.Context, id int64, by, why string) (*payrelayv1.Outcome, error) {
	outcome, err := l.operate(ctx, operation{id: id, resolution: Replayed, by: by, why: why})
	if err != nil {
		return nil, fmt.Errorf("replay dead letter %d: %w", id, err)
	}
	return outcome, nil
}

// Judge returns the verdict that Replay would give, and writes nothing. The errors
// are those of Replay.
func (l *Ledger) Judge(ctx context.Context, id int64) (*payrelayv1.Outcome, error) {
	outcome, err := l.operate(ctx, operation{id: id, resolution: Replayed, dry: true})
	if err != nil {
		return nil, fmt.Errorf("judge dead letter %d: %w", id, err)
	}
	return outcome, nil
}

// Accept applies a dead letter although it contradicts the history. Its snapshot takes
// effect at its own position in the history, regardless of later updates. A dead letter
// in conflict with a recorded event becomes a second event. One with an unknown status is
// not changed. The error is [ErrNotFound] if there is no such dead letter,
// [ErrSettled] if it is not open, and [ErrNotJudgeable] if it holds no update that can be
// judged.
func (l *Ledger) Accept(ctx context.Context, id int64, by, why string) (*payrelayv1.Outcome, error) {
	outcome, err := l.operate(ctx, operation{id: id, resolution: Accepted, by: by, why: why})
	if err != nil {
		return nil, fmt.Errorf("accept dead letter %d: %w", id, err)
	}
	return outcome, nil
}

// Discard settles a dead letter without applying it. Its event leaves the history for
// good: a redelivery is a duplicate. Discarding a dead letter twice does nothing. The
// errors are those of Accept, except that a discard needs no update that can be judged.
func (l *Ledger) Discard(ctx context.Context, id int64, by, why string) error {
	if _, err := l.operate(ctx, operation{id: id, resolution: Discarded, by: by, why: why}); err != nil {
		return fmt.Errorf("discard dead letter %d: %w", id, err)
	}
	return nil
}

// read reads the dead letter and checks that the operation is possible.
func (o *operation) read(ctx context.Context, store Store) (err error) {
	if o.letter, err = store.DeadLetter(ctx, o.id); err != nil {
		return err
	}
	switch was := o.letter.Resolution; {
	case was == "", o.resolution == Discarded && was == Discarded,
		o.resolution == Replayed && was != Accepted && was != Discarded:
		return nil
	case o.letter.By == "":
		return fmt.Errorf("%w: %s at %s", ErrSettled, was, o.letter.ResolvedAt.Format(time.RFC3339))
	default:
		return fmt.Errorf("%w: %s at %s by %s (%s)", ErrSettled, was, o.letter.ResolvedAt.Format(time.RFC3339), o.letter.By, o.letter.Why)
	}
}

func (l *Ledger) operate(ctx context.Context, o operation) (*payrelayv1.Outcome, error) {
	if err := o.read(ctx, l.store); err != nil {
		return nil, err
	}
	b := &batch{now: l.clock(), limits: l.limits, events: make([]*Event, 1), letters: []*DeadLetter{o.letter}, operation: &o}
	isConflict := o.letter.Reason == payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT
	whole := reasons[o.letter.Reason].whole
	if o.resolution != Discarded || !whole && !isConflict {
		u := new(payrelayv1.Update)
		if err := proto.Unmarshal(o.letter.Payload, u); err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrNotJudgeable, err)
		}
		var e *Event
		err := guard(func() {
			if unreadable(u, b.now) == nil {
				e = newEvent(u, b.now)
			}
		})
		switch {
		case err != nil:
			return nil, err
		case e == nil:
			return nil, ErrNotJudgeable
		}
		if !whole {
			e.Key, e.Facts = o.letter.Key, o.letter.Digest
		}
		if isConflict && o.resolution == Accepted {
			e.Key.EventID = ownEventID(e.Key.EventID, e.Facts)
		}
		b.events[0] = e
	}
	write := l.commit
	if o.dry {
		write = l.judge
	}
	if err := write(ctx, b); err != nil {
		return nil, err
	}
	return b.outcomes()[0], nil
}

// ownEventID returns the event id of an accepted conflict: the conflicting id, shortened if
// necessary, and a suffix from the facts.
func ownEventID(id string, facts Digest) string {
	suffix := "#" + hex.EncodeToString(facts[:8])
	return strings.ToValidUTF8(id[:min(len(id), MaxIDBytes-len(suffix))], "") + suffix
}

// operate judges the event of a dead letter as the operator decided. The event is nil if
// the dead letter has none.
func (b *batch) operate(e *Event) {
	if e == nil {
		if b.operation.letter.Resolution == "" {
			b.settleLetter()
		}
		return
	}
	letter, known := b.operation.letter, b.recorded[e.Key]
	e.Verdict, e.Reason = payrelayv1.Verdict_VERDICT_UNSPECIFIED, noReason
	e.Forced = b.operation.resolution == Accepted
	e.Discarded = b.operation.resolution == Discarded
	if e.Discarded {
		e.refuse(letter.Reason)
	}
	isConflict := letter.Reason == payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT
	switch {
	case reasons[letter.Reason].whole, isConflict && e.Forced:
		// The update becomes an event now. Its dead letter is settled, unless the event
		// is refused and has the same dead letter with a new reason.
		b.judgeEvent(e)
		if !e.refused() || letter.Key != e.Key || letter.Digest != e.Facts {
			b.settleLetter()
		}
	case known.Facts != e.Facts:
		e.refuse(payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT)
	case known.InHistory && e.Key.Kind == KindOrder:
		b.raced = !b.order(e.Update.GetOrderId()).revise(e)
	case known.InHistory:
		b.raced = !b.dispute(e.Dispute()).revise(e)
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

// settleLetter closes the dead letter of the operation.
func (b *batch) settleLetter() {
	o := b.operation
	b.changes.Settled = append(b.changes.Settled, Settlement{
		Key: o.letter.Key, Digest: o.letter.Digest, Resolution: o.resolution, At: b.now, By: o.by, Why: o.why,
	})
}

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
