package sqlite

import (
	"context"
	"fmt"

	"github.com/payrelay/payrelay/modules/store"
)

// Examine reads the facts for a check of the installation. It changes nothing. The
// clock is that of this machine.
func (s *Store) Examine(ctx context.Context) (found store.Examination, err error) {
	const tables = `SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'goose_db_version')`
	if err := s.reader.QueryRowContext(ctx, tables).Scan(&found.Empty); err != nil {
		return found, fmt.Errorf("examine database: %w", err)
	}
	return found, nil
}
