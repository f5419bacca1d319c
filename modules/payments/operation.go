package payments

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

var (
	// ErrNotJudgeable means that a dead letter holds no update that this release can
	// judge.
	ErrNotJudgeable = errors.New("it is not an update that can be judged: discard it, and have the provider send it again")
	// ErrSettled means that a dead letter is already settled.
	ErrSettled = errors.New("it is settled already")
	// errFolding is the error of a dry decision about an order or dispute whose long
	// history must be folded first, which would write.
	errFolding = errors.New("its history is being folded again: try again later")
	// errLetterChanged means that a dead letter changed after it was read.
	errLetterChanged = errors.New("a dead letter has changed")
)

// decisionBatch is the largest number of dead letters that are settled in one
// transaction, so that a webhook does not wait for more of them.
const decisionBatch = 250

// Decide carries out a decision about dead letters, each at most once, and records it in
// the audit log. The results are in the order of the ids. The dead letters of one order or
// dispute are decided in the order of the ids, and a repeated id is decided once.
//
// Many dead letters share a transaction. As in [Ledger.Apply], they are divided if the
// store refuses a value, judging them panics or their histories are long. If Decide returns
// an error, some of the dead letters may have been settled.
func (l *Ledger) Decide(ctx context.Context, ids []int64, d Decision) ([]Decided, error) {
	operations := make(map[int64]*operation, len(ids))
	var distinct []*operation
	for _, id := range ids {
		if operations[id] == nil {
			operations[id] = &operation{id: id, Decision: d}
			distinct = append(distinct, operations[id])
		}
	}
	if err := l.decide(ctx, distinct); err != nil {
		return nil, fmt.Errorf("decide about %d dead letters: %w", len(distinct), err)
	}
	results := make([]Decided, len(ids))
	for i, id := range ids {
		o := operations[id]
		results[i] = Decided{ID: id, Err: o.err}
		if o.err == nil && d.Resolution != Discarded {
			results[i].Outcome = o.outcome()
		}
	}
	return results, nil
}

// operation is the decision of an operator about one dead letter.
type operation struct {
	Decision
	id  int64
	err error // the Err of Decided
	// letter is the dead letter as it was read, and event its event. The event is nil if
	// the decision needs none.
	letter *DeadLetter
	event  *Event
	// settled reports whether the changes settle the dead letter.
	settled bool
	// before and after are the states in words of the order or dispute before and after
	// the operation.
	before, after string
}

func (o *operation) outcome() *payrelayv1.Outcome {
	if o.event == nil {
		return nil
	}
	return &payrelayv1.Outcome{Verdict: o.event.Verdict, Reason: o.event.Reason}
}

// decide carries out operations, as many as possible in one transaction.
func (l *Ledger) decide(ctx context.Context, operations []*operation) error {
	for len(operations) > 0 {
		size := min(decisionBatch, len(operations))
		if operations[0].Dry {
			size = 1
		}
		n, err := l.decideBatch(ctx, operations[:size])
		if err != nil {
			return err
		}
		operations = operations[n:]
	}
	return nil
}

// decideBatch carries out the first of some operations in one transaction, or divides
// them. It returns how many.
func (l *Ledger) decideBatch(ctx context.Context, operations []*operation) (decided int, err error) {
	for range maxRaces {
		var b *batch
		if b, operations, err = l.operationBatch(ctx, operations); err != nil {
			return 0, err
		}
		if len(b.operations) == 0 {
			return len(operations), nil
		}
		write := l.commit
		if b.dry() {
			write = l.judge
		}
		err = write(ctx, b)
		var entangled *entangledError
		for errors.As(err, &entangled) {
			operations = operations[:slices.Index(operations, b.operations[entangled.at])]
			b.operations, b.events = b.operations[:entangled.at], b.events[:entangled.at]
			err = write(ctx, b)
		}
		switch {
		case err == nil:
			return len(operations), nil
		case errors.Is(err, errLetterChanged), b.dry() && errors.Is(err, ErrRaced):
			continue
		}
		return len(operations), l.decideApart(ctx, b, err)
	}
	return 0, fmt.Errorf("gave up after %d attempts: %w", maxRaces, ErrRaced)
}

// decideApart divides a batch of operations that failed. It returns the error if the batch
// cannot be divided, or stores it in the only operation.
func (l *Ledger) decideApart(ctx context.Context, b *batch, failure error) error {
	updates := make([]*payrelayv1.Update, len(b.events))
	for i, e := range b.events {
		if e != nil {
			updates[i] = e.Update
		}
	}
	parts := divide(updates, failure)
	if parts == nil && len(updates) == 1 && (errors.Is(failure, ErrUnstorable) || errors.Is(failure, ErrPanic) || errors.Is(failure, errFolding)) {
		b.operations[0].err = failure
		return nil
	}
	if parts == nil {
		return failure
	}
	for _, indexes := range parts {
		part := make([]*operation, len(indexes))
		for i, index := range indexes {
			part[i] = b.operations[index]
		}
		if err := l.decide(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// operationBatch reads the dead letters of operations and returns the batch of those that
// are possible. It ends the batch before a second event with the same key, and before a
// settled dead letter that an operation before it may open again. It returns the operations
// up to there.
func (l *Ledger) operationBatch(ctx context.Context, operations []*operation) (*batch, []*operation, error) {
	letters, err := l.letters(ctx, operations)
	if err != nil {
		return nil, nil, err
	}
	b := &batch{now: l.clock(), limits: l.limits, operations: []*operation{}}
	keys, subjects := make(map[Key]bool), make(map[Subject]bool)
	for i, o := range operations {
		o.letter, o.event, o.err = letters[o.id], nil, nil
		if o.letter != nil && (o.letter.Resolution == Reapplied || o.letter.Resolution == Replayed) && subjects[o.letter.subject()] {
			return b, operations[:i], nil
		}
		if err := guard(func() { o.err = o.prepare(b.now) }); err != nil {
			o.err = err
		}
		if o.err != nil {
			continue
		}
		if o.event != nil {
			if keys[o.event.Key] {
				return b, operations[:i], nil
			}
			keys[o.event.Key], subjects[o.event.subject()] = true, true
		}
		b.operations, b.events = append(b.operations, o), append(b.events, o.event)
	}
	return b, operations, nil
}

// letters reads the dead letters of operations.
func (l *Ledger) letters(ctx context.Context, operations []*operation) (map[int64]*DeadLetter, error) {
	ids := make([]int64, len(operations))
	for i, o := range operations {
		ids[i] = o.id
	}
	read, err := l.store.DeadLettersWith(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read %d dead letters: %w", len(ids), err)
	}
	letters := make(map[int64]*DeadLetter, len(read))
	for _, letter := range read {
		letters[letter.ID] = letter
	}
	return letters, nil
}

// unchanged reads the dead letters of operations again. It returns errLetterChanged if
// one has changed since it was read first.
func (l *Ledger) unchanged(ctx context.Context, operations []*operation) error {
	if len(operations) == 0 {
		return nil
	}
	letters, err := l.letters(ctx, operations)
	if err != nil {
		return err
	}
	for _, o := range operations {
		letter := letters[o.id]
		if letter == nil || letter.Resolution != o.letter.Resolution || letter.Reason != o.letter.Reason {
			return errLetterChanged
		}
	}
	return nil
}

// prepare checks that the operation is possible, and decodes the update of its dead
// letter.
func (o *operation) prepare(now time.Time) error {
	if o.letter == nil {
		return ErrNotFound
	}
	switch was := o.letter.Resolution; {
	case was == "", o.Resolution == Discarded && was == Discarded,
		o.Resolution == Replayed && was != Accepted && was != Discarded:
	case o.letter.By == "":
		return fmt.Errorf("%w: %s at %s", ErrSettled, was, o.letter.ResolvedAt.Format(time.RFC3339))
	default:
		return fmt.Errorf("%w: %s at %s by %s (%s)", ErrSettled, was, o.letter.ResolvedAt.Format(time.RFC3339), o.letter.By, o.letter.Why)
	}
	whole := reasons[o.letter.Reason].whole
	if o.Resolution == Discarded && (whole || o.isConflict()) {
		return nil
	}
	u := new(payrelayv1.Update)
	if err := proto.Unmarshal(o.letter.Payload, u); err != nil {
		return fmt.Errorf("%w (%w)", ErrNotJudgeable, err)
	}
	if unreadable(u, now) != nil {
		return ErrNotJudgeable
	}
	e := newEvent(u, now)
	if !whole {
		e.Key, e.Facts = o.letter.Key, o.letter.Digest
	}
	if o.isConflict() && o.Resolution == Accepted {
		e.Key.EventID = ownEventID(e.Key.EventID, e.Facts)
	}
	o.event = e
	return nil
}

func (o *operation) isConflict() bool {
	return o.letter.Reason == payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT
}

// ownEventID returns the event id of an accepted conflict: the conflicting id, shortened if
// necessary, and a suffix from the facts.
func ownEventID(id string, facts Digest) string {
	suffix := "#" + hex.EncodeToString(facts[:8])
	return strings.ToValidUTF8(id[:min(len(id), MaxIDBytes-len(suffix))], "") + suffix
}

// entangledError means that an operation of a batch depends on the effect of an earlier
// one, or changes it. at is the index of the later operation. The operations before it must
// be committed first.
type entangledError struct{ at int }

func (e *entangledError) Error() string {
	return fmt.Sprintf("operation %d depends on an earlier one", e.at)
}

// dry reports whether the batch must not be written.
func (b *batch) dry() bool { return len(b.operations) > 0 && b.operations[0].Dry }

// unsettled returns the operations that do not settle their dead letter. The store cannot
// detect that another operator settled it meanwhile.
func (b *batch) unsettled() (operations []*operation) {
	for _, o := range b.operations {
		if !o.settled {
			operations = append(operations, o)
		}
	}
	return operations
}

// audit adds an entry of the audit log for each operation on an open dead letter.
func (b *batch) audit() {
	for _, o := range b.operations {
		if o.letter.Resolution != "" {
			continue
		}
		if len(b.operations) == 1 && o.event != nil {
			o.after = b.stateOf(o.event) // a long history is folded after operate
		}
		b.changes.Audit = append(b.changes.Audit, o.audit(b.now))
	}
}
