package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/payrelay/payrelay/modules/store"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrate brings the tables up to what this release needs. It refuses a database
// that a newer release has migrated.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}

func (s *Store) migrate(ctx context.Context) error {
	migrations, err := s.migrations()
	if err != nil {
		return err
	}
	if _, err := schemaVersions(ctx, migrations); err != nil {
		return err
	}
	_, err = migrations.Up(ctx)
	return err
}

// Migrations lists the migrations that this release knows by ascending version.
func (s *Store) Migrations(ctx context.Context) ([]store.Migration, error) {
	migrations, err := s.migrations()
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	status, err := migrations.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	list := make([]store.Migration, len(status))
	for i, m := range status {
		name := strings.TrimSuffix(path.Base(m.Source.Path), ".sql")
		list[i] = store.Migration{Version: m.Source.Version, Name: name, AppliedAt: m.AppliedAt}
	}
	return list, nil
}

// checkSchema says whether the tables are those that this release knows.
func (s *Store) checkSchema(ctx context.Context) error {
	migrations, err := s.migrations()
	if err != nil {
		return err
	}
	pending, err := schemaVersions(ctx, migrations)
	if err == nil && pending {
		err = errors.New("migrations are pending: run `app migrate up`")
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

func (s *Store) migrations() (*goose.Provider, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, s.writer, files,
		goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
}
