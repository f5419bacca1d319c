package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/payrelay/payrelay/modules/store"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrate brings the tables up to what this release needs. Of several processes
// that do so at once one migrates, and the others wait for it. It refuses a
// database that a newer release has migrated.
func (s *Store) Migrate(ctx context.Context) error {
	err := s.withMigrations(func(migrations *goose.Provider) error {
		if _, err := schemaVersions(ctx, migrations); err != nil {
			return err
		}
		_, err := migrations.Up(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrate database: %w", classified(err))
	}
	return nil
}

// Migrations lists the migrations that this release knows by ascending version.
func (s *Store) Migrations(ctx context.Context) ([]store.Migration, error) {
	var list []store.Migration
	err := s.withMigrations(func(migrations *goose.Provider) error {
		status, err := migrations.Status(ctx)
		for _, m := range status {
			name := strings.TrimSuffix(path.Base(m.Source.Path), ".sql")
			list = append(list, store.Migration{Version: m.Source.Version, Name: name, AppliedAt: m.AppliedAt})
		}
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
	err := s.withMigrations(func(migrations *goose.Provider) error {
		pending, err := schemaVersions(ctx, migrations)
		if err == nil && pending {
			err = errors.New("migrations are pending: run `app migrate up`")
		}
		return err
	})
	if err == nil {
		s.schemaKnown.Store(true)
	}
	return err
}

// schemaVersions says whether migrations are pending; the error is that the
// database is ahead of this release.
func schemaVersions(ctx context.Context, migrations *goose.Provider) (pending bool, err error) {
	current, known, err := migrations.GetVersions(ctx)
	if err != nil {
		return false, fmt.Errorf("read schema version: %w", err)
	}
	if current > known {
		return false, fmt.Errorf("the schema has version %d, but this release knows only up to %d: run the newer release that migrated it", current, known)
	}
	return current < known, nil
}

// withMigrations gives goose a connection of its own, for it wants one of
// database/sql, and one that may take longer than the ledger's.
func (s *Store) withMigrations(use func(*goose.Provider) error) error {
	db := stdlib.OpenDB(*s.migration)
	migrations, err := newMigrations(db)
	if err == nil {
		err = use(migrations)
	}
	return errors.Join(err, db.Close())
}

// The lock is tried every second rather than waited for: a session that waits
// would hold up a migration that builds an index without blocking writers.
const (
	lockPeriod = 1   // seconds
	lockTries  = 600 // ten minutes
)

func newMigrations(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockTries))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker),
		goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
}
