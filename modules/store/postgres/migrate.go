package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/retention"
)

//go:embed migrations
var migrationFiles embed.FS

// A migration waits for the lock of a table only until its lock_timeout, because
// later transactions queue behind it. It lets them pass, and tries again, also after a
// deadlock with a process of an older release, which may lock rows in another order.
const (
	migrationTries = 30
	migrationPause = time.Second
)

// Migrate applies the pending migrations. If several processes call it at the same
// time, one of them migrates and the others wait. It is an error if a newer release
// has migrated the database.
func (s *Store) Migrate(ctx context.Context) error {
	var err error
	for range migrationTries {
		err = s.withSchema(func(schema store.Schema) error { return schema.Migrate(ctx) })
		if !hasCode(err, lockNotAvailable) && !hasCode(err, deadlockDetected) {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("migrate database: %w", classified(err))
		case <-time.After(migrationPause):
		}
	}
	if err != nil {
		return fmt.Errorf("migrate database: %w", classified(err))
	}
	s.makeDays(ctx)
	return nil
}

// makeDays makes the partitions of the next days. Without one its bodies are kept
// elsewhere, so an error does not keep a process from starting: the periodic run, which
// tries again, reports it.
func (s *Store) makeDays(ctx context.Context) {
	session, err := s.Maintain(ctx)
	if err != nil {
		return
	}
	_ = session.MakeDays(ctx, time.Now(), retention.DaysAhead)
	_ = session.Close()
}

// Migrations returns the migrations of this release by ascending version.
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

// checkSchema returns an error unless the tables are those of this release. Once they
// are, it does not ask the server again.
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

// withSchema opens a separate connection: goose needs one of database/sql, and its
// statements may take longer than the ledger's.
func (s *Store) withSchema(use func(store.Schema) error) error {
	locker := &migrationLock{store: s, key: lock.DefaultLockID}
	db := s.openDB(s.migration, s.first.migration)
	oldData := goose.NewGoMigration(6, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		return store.MigrateOldData(ctx, tx, dialect)
	}}, nil)
	schema, err := store.NewSchema(goose.DialectPostgres, db, migrationFiles, goose.WithGoMigrations(oldData), goose.WithSessionLocker(locker))
	if err == nil {
		err = use(schema)
	}
	return errors.Join(err, db.Close())
}
