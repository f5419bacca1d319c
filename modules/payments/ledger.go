package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// maxRaces is the number of times that a batch is judged again because another
// writer was first. One of the writers always succeeds, so more than a few lost
// races mean that the writers should share the load differently.
const maxRaces = 10

// Ledger records updates and gives each its effect exactly once. It is the
// [Applier] that decides the verdicts; all others only pass updates on.
//
// It keeps no state between calls. Any number of ledgers, in any number of
// processes, may write to one store.
type Ledger struct {
	store  Store
	now    func() time.Time
	limits *limits
	report func(Panic)
	// committed is called with what was written.
	committed func(*Changes)
}

// NewLedger returns a ledger that writes to store.
func NewLedger(store Store) *Ledger {
	return &Ledger{store: store, now: time.Now, limits: &defaultLimits, report: func(Panic) {}, committed: func(*Changes) {}}
}

// OnCommit sets the function that is called with all that the ledger has written, after
// each commit. It must be called before the first update is applied, and the function
// must not keep or change the argument.
func (l *Ledger) OnCommit(report func(*Changes)) { l.committed = report }

// write commits changes.
func (l *Ledger) write(ctx context.Context, changes *Changes) error {
	err := l.store.Commit(ctx, changes)
	if err == nil {
		l.committed(changes)
	}
	return err
}

// Apply judges the updates in order and records them, if possible in one transaction.
// An update that is not well-formed or cannot be applied becomes a dead letter. A caller
// that can reject malformed updates calls [Validate] first.
//
// If the store refuses a value, or judging the batch panics, Apply divides the batch until
// the update that is the cause is alone, and makes it a dead letter. Apply also divides the batch if it loses too many
// races, or if the histories that it needs are too long. Late updates of a long history
// are applied alone, after the others. If Apply returns an error, some of the updates may
// have been recorded.
func (l *Ledger) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	var b *batch
	err := guard(func() { b = newBatch(updates, l.clock(), l.limits) })
	if err == nil {
		err = l.commit(ctx, b)
	}
	if err == nil {
		return b.outcomes(), nil
	}
	if parts := divide(updates, err); parts != nil {
		return l.applyParts(ctx, updates, parts)
	}
	if len(updates) == 1 && (errors.Is(err, ErrUnstorable) || errors.Is(err, ErrPanic)) {
		return l.setAside(ctx, updates[0], err)
	}
	return nil, fmt.Errorf("apply %d updates: %w", len(updates), err)
}

// divide returns the parts of a batch that failed, as indexes of its updates, if the parts
// can succeed. It returns nil otherwise.
func divide(updates []*payrelayv1.Update, failure error) [][]int {
	var long *longHistories
	switch half := len(updates) / 2; {
	case half == 0:
		return nil
	case errors.As(failure, &long):
		return long.apart(updates)
	case errors.Is(failure, ErrUnstorable), errors.Is(failure, ErrPanic), errors.Is(failure, ErrRaced), errors.Is(failure, errTooMuch):
		return [][]int{numbers(0, half), numbers(half, len(updates))}
	default:
		return nil
	}
}

// setAside makes an update a dead letter, because the store refuses a value of it or
// because judging it panics.
func (l *Ledger) setAside(ctx context.Context, u *payrelayv1.Update, cause error) ([]*payrelayv1.Outcome, error) {
	reason := payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE
	var panicked *panicError
	if errors.As(cause, &panicked) {
		reason = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE
	}
	letter := wholeLetter(u, reason, l.clock(), cause)
	if err := l.write(ctx, &Changes{DeadLetters: []*DeadLetter{letter}}); err != nil {
		return nil, fmt.Errorf("dead-letter an update that cannot be applied: %w", err)
	}
	if panicked != nil {
		l.report(Panic{letter.Key, panicked.text, panicked.stack})
	}
	return []*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: reason}}, nil
}

// applyParts applies the parts of a batch one after the other. A part holds indexes of
// updates. The parts must keep the order of the updates of each order and dispute.
func (l *Ledger) applyParts(ctx context.Context, updates []*payrelayv1.Update, parts [][]int) ([]*payrelayv1.Outcome, error) {
	outcomes := make([]*payrelayv1.Outcome, len(updates))
	for _, indexes := range parts {
		part := make([]*payrelayv1.Update, len(indexes))
		for i, index := range indexes {
			part[i] = updates[index]
		}
		verdicts, err := l.Apply(ctx, part)
		if err != nil {
			return nil, err
		}
		for i, index := range indexes {
			outcomes[index] = verdicts[i]
		}
	}
	return outcomes, nil
}

// numbers returns the integers from first up to but not including end.
func numbers(first, end int) []int {
	indexes := make([]int, 0, end-first)
	for i := first; i < end; i++ {
		indexes = append(indexes, i)
	}
	return indexes
}

// DeadLetter records a Kafka record that is not an update.
func (l *Ledger) DeadLetter(ctx context.Context, record *payrelayv1.UndecodableRecord) error {
	letter := undecodable(record, l.clock())
	if err := l.write(ctx, &Changes{DeadLetters: []*DeadLetter{letter}}); err != nil {
		return fmt.Errorf("dead-letter record %s offset %s: %w", letter.Key.Source, letter.Key.EventID, err)
	}
	return nil
}

// commit judges a batch and writes the changes, again if another writer was first.
func (l *Ledger) commit(ctx context.Context, b *batch) error {
	for range maxRaces {
		err := l.judge(ctx, b)
		switch {
		case err != nil:
		case b.changes.empty():
			// Another operator may have decided since a dead letter was read.
			return l.unchanged(ctx, b.unsettled())
		default:
			if err = l.unchanged(ctx, b.unsettled()); err == nil {
				err = l.write(ctx, b.changes)
			}
		}
		if errors.Is(err, ErrRaced) {
			continue
		}
		if err != nil {
			return err
		}
		if unfinished := b.unfinished(); !unfinished.empty() {
			return l.finishRecorded(ctx, unfinished)
		}
		return nil
	}
	return fmt.Errorf("gave up after %d attempts: %w", maxRaces, ErrRaced)
}

// finishRecorded finishes the fold of a history after its batch was recorded. If that
// panics, the next update of the order or dispute tries it again.
func (l *Ledger) finishRecorded(ctx context.Context, of Subjects) error {
	err := l.finish(ctx, of)
	var panicked *panicError
	if errors.As(err, &panicked) {
		l.report(Panic{Text: panicked.text, Stack: panicked.stack})
		return nil
	}
	return err
}

// judge reads what the batch needs and judges it. Few batches need a history; such
// a batch is judged again when that has been read.
func (l *Ledger) judge(ctx context.Context, b *batch) error {
	stored, err := l.store.Load(ctx, b.lookup())
	if err != nil {
		return fmt.Errorf("load orders: %w", err)
	}
	if pending := stored.pending(); !pending.empty() {
		return l.judgeAfter(ctx, b, pending)
	}
	// The dead letters are read again after the versions, so that a later decision of
	// another operator makes the commit fail with ErrRaced.
	if err := l.unchanged(ctx, b.operations); err != nil {
		return err
	}
	histories := &Histories{Orders: make(map[string][]*Event), Disputes: make(map[DisputeKey][]*Event)}
	for {
		var incomplete Subjects
		err := guard(func() {
			if incomplete = b.judge(stored, histories); !b.raced && b.entangled == nil && incomplete.empty() {
				b.collect()
			}
		})
		switch {
		case err != nil:
			return err
		case b.raced:
			return ErrRaced
		case b.entangled != nil:
			return b.entangled
		case incomplete.empty():
			return nil
		}
		short, long, events := b.divide(incomplete)
		if len(b.events) > 1 && events > l.limits.commit {
			return errTooMuch
		}
		if long.empty() {
			if long, err = l.readHistories(ctx, short, histories); err != nil {
				return err
			}
		}
		switch {
		case long.empty():
		case len(b.events) > 1 && (b.operations != nil || !b.onlyLate()):
			return &longHistories{long}
		default:
			return l.judgeLong(ctx, b, long)
		}
	}
}

// readHistories reads histories into the given ones. It returns the orders and disputes
// whose history is too long to be read at once.
func (l *Ledger) readHistories(ctx context.Context, of Subjects, histories *Histories) (long Subjects, err error) {
	read, err := l.store.History(ctx, of, l.limits.whole)
	if err != nil {
		return long, fmt.Errorf("read the history of %d orders and %d disputes: %w", len(of.Orders), len(of.Disputes), err)
	}
	for _, id := range of.Orders {
		if histories.Orders[id] = read.Orders[id]; len(read.Orders[id]) >= l.limits.whole {
			long.Orders = append(long.Orders, id)
		}
	}
	for _, key := range of.Disputes {
		if histories.Disputes[key] = read.Disputes[key]; len(read.Disputes[key]) >= l.limits.whole {
			long.Disputes = append(long.Disputes, key)
		}
	}
	return long, nil
}

func (l *Ledger) clock() time.Time { return l.now().UTC().Truncate(time.Microsecond) }
