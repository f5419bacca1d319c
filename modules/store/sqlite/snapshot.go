package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/payrelay/payrelay/modules/store"
)

// Snapshot is the database as it was when it was frozen.
type Snapshot struct{ tx *sql.Tx }

var _ store.Snapshot = (*Snapshot)(nil)

// Freeze keeps everybody from writing, other processes too, until the snapshot is
// closed or ctx ends.
func (s *Store) Freeze(ctx context.Context) (*Snapshot, error) {
	if _, err := s.use(ctx); err != nil {
		return nil, err
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("keep others from writing: %w", err)
	}
	return &Snapshot{tx}, nil
}

// Close lets others write again.
func (s *Snapshot) Close() error {
	if err := s.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("let others write again: %w", err)
	}
	return nil
}

// Table gives the rows of a table by ascending primary key.
func (s *Snapshot) Table(ctx context.Context, name string) (store.Rows, error) {
	rows, err := s.tx.QueryContext(ctx, "SELECT * FROM "+name+" ORDER BY 1")
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", name, err)
	}
	columns, err := rows.Columns()
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return tableRows{rows, columns}, nil
}

// tableRows has its values as they are stored: all engines' common ones.
type tableRows struct {
	*sql.Rows
	columns []string
}

func (r tableRows) Columns() []string { return r.columns }

func (r tableRows) Close() { _ = r.Rows.Close() } // what went wrong is in Err

func (r tableRows) Values() ([]any, error) {
	values, into := make([]any, len(r.columns)), make([]any, len(r.columns))
	for i := range values {
		into[i] = &values[i]
	}
	if err := r.Scan(into...); err != nil {
		return nil, err
	}
	for i, value := range values {
		if data, ok := value.([]byte); ok && len(data) == 0 {
			values[i] = nil
		}
	}
	return values, nil
}
