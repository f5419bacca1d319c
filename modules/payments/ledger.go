package payments

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// maxRaces bounds how often a batch is judged again because another writer was
// first. One of the racers always wins, so more than a few in a row means that
// the writers should share the load differently; the caller then tries again.
const maxRaces = 10

// Ledger records updates, each exactly once in effect. It is the only Applier
// that decides; all others carry.
//
// It keeps no state between calls: any number of ledgers, in any number of
// processes, may write to one store.
type Ledger struct {
	store Store
	now   func() time.Time
}

// NewLedger is a ledger over a store.
func NewLedger(store Store) *Ledger {
	return &Ledger{store: store, now: time.Now}
}

// Apply judges a batch in its sequence and records all of it in one
// transaction. It refuses nothing: what is not well-formed becomes a dead
// letter like everything else that cannot be applied, so callers that can still
// answer somebody [Validate] first.
//
// Should the store refuse a value, the batch is divided until the update with
// that value stands alone, and it becomes a dead letter too.
func (l *Ledger) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	b := l.newBatch(updates)
	err := l.commit(ctx, b)
	switch {
	case err == nil:
		return b.outcomes(), nil
	case errors.Is(err, ErrUnstorable) && len(updates) > 1:
		return l.divide(ctx, updates)
	case errors.Is(err, ErrUnstorable) && len(updates) == 1:
		return l.setAside(ctx, updates[0], err)
	default:
		return nil, fmt.Errorf("apply %d updates: %w", len(updates), err)
	}
}

// divide applies one half after the other, so no update overtakes another.
func (l *Ledger) divide(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
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
}

// setAside keeps an update that the store refuses as bytes, which it takes.
func (l *Ledger) setAside(ctx context.Context, u *payrelayv1.Update, refusal error) ([]*payrelayv1.Outcome, error) {
	letter := unstorable(u, refusal, l.clock())
	if err := l.store.Commit(ctx, &Changes{DeadLetters: []*DeadLetter{letter}}); err != nil {
		return nil, fmt.Errorf("dead-letter an update that the database refuses: %w", err)
	}
	return []*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: letter.Reason}}, nil
}

// DeadLetter records a Kafka record that is not an update.
func (l *Ledger) DeadLetter(ctx context.Context, record *payrelayv1.UndecodableRecord) error {
	letter := undecodable(record, l.clock())
	if err := l.store.Commit(ctx, &Changes{DeadLetters: []*DeadLetter{letter}}); err != nil {
		return fmt.Errorf("dead-letter record %s offset %s: %w", letter.Key.Provider, letter.Key.EventID, err)
	}
	return nil
}

func (l *Ledger) clock() time.Time { return l.now().UTC().Truncate(time.Microsecond) }

// commit judges and writes until no other writer gets in between.
func (l *Ledger) commit(ctx context.Context, b *batch) error {
	for range maxRaces {
		changes, err := l.judge(ctx, b)
		if err != nil {
			return err
		}
		if changes.empty() {
			return nil
		}
		err = l.store.Commit(ctx, changes)
		if !errors.Is(err, ErrRaced) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d attempts: %w", maxRaces, ErrRaced)
}

// judge reads what the batch needs and decides. Most batches need no history;
// one that turns out to is judged again from the start once it is there.
func (l *Ledger) judge(ctx context.Context, b *batch) (*Changes, error) {
	stored, err := l.store.Load(ctx, b.lookup())
	if err != nil {
		return nil, fmt.Errorf("load orders: %w", err)
	}
	history := make(map[string][]*Event)
	for {
		book := newBook(stored, history, b.now)
		b.judgeIn(book)
		if len(book.missing) == 0 {
			return book.changes(), nil
		}
		if err := l.readHistory(ctx, book.missing, history); err != nil {
			return nil, err
		}
	}
}

func (l *Ledger) readHistory(ctx context.Context, missing map[string]bool, history map[string][]*Event) error {
	orderIDs := slices.Sorted(maps.Keys(missing))
	read, err := l.store.History(ctx, orderIDs)
	if err != nil {
		return fmt.Errorf("read history of %d orders: %w", len(orderIDs), err)
	}
	for _, id := range orderIDs {
		history[id] = read[id]
	}
	return nil
}
