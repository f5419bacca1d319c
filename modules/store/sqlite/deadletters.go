package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

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

func scanLetter(row scanner) (*payments.DeadLetter, error) {
	letter := new(payments.DeadLetter)
	return letter, row.Scan(letterFields(letter)...)
}

// Discard settles a dead letter that does not matter. A discarded one stays as
// it is; one that was settled otherwise is an error, and so is one that does not
// exist, payments.ErrNotFound.
func (s *Store) Discard(ctx context.Context, id int64, at time.Time) error {
	_, err := s.use(ctx)
	if err == nil {
		err = s.transact(ctx, func(tx transaction) error { return tx.discard(id, at) })
	}
	if err != nil {
		return fmt.Errorf("discard dead letter %d: %w", id, err)
	}
	return nil
}

func (tx transaction) discard(id int64, at time.Time) error {
	var resolution payments.Resolution
	row := tx.tx.QueryRowContext(tx.ctx, "SELECT resolution FROM dead_letters WHERE id = ?", id)
	err := row.Scan(&resolution)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return payments.ErrNotFound
	case err != nil:
		return err
	}
	switch resolution {
	case payments.Discarded:
		return nil
	case "":
		_, err := tx.tx.ExecContext(tx.ctx, "UPDATE dead_letters SET resolution = ?, resolved_at = ? WHERE id = ?",
			string(payments.Discarded), instant(at), id)
		return err
	default:
		return fmt.Errorf("it was settled before: %s", resolution)
	}
}
