package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/payrelay/payrelay/modules/store"
)

//go:embed migrations
var migrationFiles embed.FS

// Migrate brings the tables up to what this release needs. Of several processes
// that do so at once one migrates, and the others wait for it. It refuses a
// database that a newer release has migrated.
func (s *Store) Migrate(ctx context.Context) error {
	err := s.migrate(ctx)
	for tries := 1; lockTimedOut(err) && tries < migrationTries && pause(ctx, migrationPause); tries++ {
		err = s.migrate(ctx)
	}
	if err != nil {
		return fmt.Errorf("migrate database: %w", classified(err))
	}
	return nil
}

// A migration waits for a table no longer than its lock_timeout, for all that come
// after it wait behind it. Then it lets them go first, and tries again.
const (
	migrationTries = 30
	migrationPause = time.Second
)

func (s *Store) migrate(ctx context.Context) error {
	return s.withSchema(func(schema store.Schema) error { return schema.Migrate(ctx) })
}

func lockTimedOut(err error) bool {
	var failed *pgconn.PgError
	return errors.As(err, &failed) && failed.Code == lockNotAvailable
}

// pause says whether the time has passed, and ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Migrations lists the migrations that this release knows by ascending version.
func (s *Store) Migrations(ctx context.Context) (list []store.Migration, err error) {
	err = s.withSchema(func(schema store.Schema) error {
		list, err = schema.Migrations(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", classified(err))
	}
	return list, nil
}

// checkSchema says whether the tables are those that this release knows. It asks
// until they are.
func (s *Store) checkSchema(ctx context.Context) error {
	if s.schemaKnown.Load() {
		return nil
	}
	err := s.withSchema(func(schema store.Schema) error { return schema.Check(ctx) })
	if err == nil {
		s.schemaKnown.Store(true)
	}
	return err
}

// The lock is tried every second rather than waited for: a session that waits
// would hold up a migration that builds an index without blocking writers.
const (
	lockPeriod = 1   // seconds
	lockTries  = 600 // ten minutes
)

// withSchema gives goose a connection of its own, for it wants one of
// database/sql, and one that may take longer than the ledger's.
func (s *Store) withSchema(use func(store.Schema) error) error {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockTries))
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*s.migration)
	schema, err := store.NewSchema(goose.DialectPostgres, db, migrationFiles, goose.WithSessionLocker(locker))
	if err == nil {
		err = use(schema)
	}
	return errors.Join(err, db.Close())
}
