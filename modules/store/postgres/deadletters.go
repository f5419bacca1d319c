package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/payments"
)

// DeadLetter reads one dead letter, or payments.ErrNotFound.
func (s *Store) DeadLetter(ctx context.Context, id int64) (*payments.DeadLetter, error) {
	letter, err := readOne(ctx, s, dialect.DeadLetter(id), scanLetter)
	if err != nil {
		return nil, fmt.Errorf("read dead letter: %w", err)
	}
	return letter, nil
}

// DeadLetters reads one page of dead letters.
func (s *Store) DeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]*payments.DeadLetter, error) {
	letters, err := readAll(ctx, s, dialect.DeadLetters(q), scanLetter)
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return letters, nil
}

// Discard settles a dead letter that does not matter. A discarded one stays as
// it is; one that was settled otherwise is an error, and so is one that does not
// exist, payments.ErrNotFound.
func (s *Store) Discard(ctx context.Context, id int64, at time.Time) error {
	if err := s.discard(ctx, id, at); err != nil {
		return fmt.Errorf("discard dead letter %d: %w", id, err)
	}
	return nil
}

// One that was discarded has the time of that already.
const discardLetter = `UPDATE dead_letters SET resolution = 'discarded', resolved_at = coalesce(resolved_at, $2)
	WHERE id = $1 AND resolution IN ('', 'discarded') RETURNING resolution`

func (s *Store) discard(ctx context.Context, id int64, at time.Time) error {
	discarded, err := query(ctx, s, s.reader, discardLetter, []any{id, at}, pgx.RowTo[string])
	if err != nil || len(discarded) > 0 {
		return err
	}
	letter, err := s.DeadLetter(ctx, id)
	if err != nil {
		return err
	}
	return fmt.Errorf("it was settled before: %s", letter.Resolution)
}
