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
	store Store
	now   func() time.Time
}

// NewLedger returns a ledger that writes to store.
func NewLedger(store Store) *Ledger {
	return &Ledger{store: store, now: time.Now}
}

// Apply judges the updates in order and records all of them in one transaction. It
// refuses none: an update that is not well-formed becomes a dead letter, like every
// other one that cannot be applied. A caller that can still reject an update calls
// [Validate] first.
//
// If the store refuses a value, the batch is divided until the update with that
// value is alone, and that becomes a dead letter too.
func (l *Ledger) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	b := newBatch(updates, l.clock())
	err := l.commit(ctx, b)
	switch {
	case err == nil:
		return b.outcomes(), nil
	case !errors.Is(err, ErrUnstorable) || len(updates) == 0:
		return nil, fmt.Errorf("apply %d updates: %w", len(updates), err)
	case len(updates) > 1:
		// One half after the other, so that no update overtakes another.
		half := len(updates) / 2
		first, err := l.Apply(ctx, updates[:half])
		if err != nil {
			return nil, err
		}
		second, err := l.Apply(ctx, updates[half:])
		if err != nil {
			return nil, err
		}
		return append(first, second...), nil
	default:
		letter := unstorable(updates[0], err, l.clock())
		if err := l.store.Commit(ctx, &Changes{DeadLetters: []*DeadLetter{letter}}); err != nil {
			return nil, fmt.Errorf("dead-letter an update that the database refuses: %w", err)
		}
		return []*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: letter.Reason}}, nil
	}
}

// DeadLetter records a Kafka record that is not an update.
func (l *Ledger) DeadLetter(ctx context.Context, record *payrelayv1.UndecodableRecord) error {
	letter := undecodable(record, l.clock())
	if err := l.store.Commit(ctx, &Changes{DeadLetters: []*DeadLetter{letter}}); err != nil {
		return fmt.Errorf("dead-letter record %s offset %s: %w", letter.Key.Provider, letter.Key.EventID, err)
	}
	return nil
}

// commit judges a batch and writes the changes, again if another writer was first.
func (l *Ledger) commit(ctx context.Context, b *batch) error {
	for range maxRaces {
		if err := l.judge(ctx, b); err != nil {
			return err
		}
		if b.changes.empty() {
			return nil
		}
		if err := l.store.Commit(ctx, b.changes); !errors.Is(err, ErrRaced) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d attempts: %w", maxRaces, ErrRaced)
}

// judge reads what the batch needs and judges it. Few batches need a history; such
// a batch is judged again when that has been read.
func (l *Ledger) judge(ctx context.Context, b *batch) error {
	stored, err := l.store.Load(ctx, b.lookup())
	if err != nil {
		return fmt.Errorf("load orders: %w", err)
	}
	histories := make(map[string][]*Event)
	for {
		incomplete := b.judge(stored, histories)
		if len(incomplete) == 0 {
			return nil
		}
		read, err := l.store.History(ctx, incomplete)
		if err != nil {
			return fmt.Errorf("read history of %d orders: %w", len(incomplete), err)
		}
		for _, id := range incomplete {
			histories[id] = read[id]
		}
	}
}

func (l *Ledger) clock() time.Time { return l.now().UTC().Truncate(time.Microsecond) }
