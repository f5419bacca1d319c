package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/payrelay/payrelay/modules/store/transfer"
)

// Freeze keeps all processes from writing until the snapshot is closed or ctx ends.
func (s *Store) Freeze(ctx context.Context) (transfer.Snapshot, error) {
	if _, err := s.use(ctx); err != nil {
		return nil, err
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("keep others from writing: %w", err)
	}
	return snapshot{tx}, nil
}

// snapshot is a transaction that has the write lock and writes nothing.
type snapshot struct{ tx *sql.Tx }

// Close lets others write again.
func (s snapshot) Close() error {
	if err := s.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("let others write again: %w", err)
	}
	return nil
}

func (s snapshot) Table(ctx context.Context, name string) (transfer.Rows, error) {
	rows, err := s.tx.QueryContext(ctx, "SELECT * FROM "+name+" ORDER BY 1, 2")
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", name, err)
	}
	columns, err := rows.Columns()
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return tableRows{rows, columns}, nil
}

// tableRows returns values as SQLite stores them, which are the types of
// [transfer.Rows] already.
type tableRows struct {
	*sql.Rows
	columns []string
}

func (r tableRows) Columns() []string { return r.columns }

func (r tableRows) Close() { _ = r.Rows.Close() } // Err has the error

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
