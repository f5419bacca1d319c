package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// Migration is one step of the schema of a database.
type Migration struct {
	Version int64
	Name    string
	// AppliedAt is zero while the migration is pending.
	AppliedAt time.Time
}

// Schema is the schema of a database with the migrations that this release has
// for it.
type Schema struct{ migrations *goose.Provider }

// NewSchema returns the schema of a database, with the migrations in the folder
// migrations of files.
func NewSchema(dialect goose.Dialect, db *sql.DB, files fs.FS, options ...goose.ProviderOption) (Schema, error) {
	folder, err := fs.Sub(files, "migrations")
	if err != nil {
		return Schema{}, err
	}
	options = append(options, goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	migrations, err := goose.NewProvider(dialect, db, folder, options...)
	return Schema{migrations}, err
}

// Migrate applies the pending migrations. It is an error if a newer release has
// migrated the database.
func (s Schema) Migrate(ctx context.Context) error {
	if _, err := s.pending(ctx); err != nil {
		return err
	}
	_, err := s.migrations.Up(ctx)
	return err
}

// Migrations returns the migrations of this release by ascending version.
func (s Schema) Migrations(ctx context.Context) ([]Migration, error) {
	status, err := s.migrations.Status(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Migration, len(status))
	for i, m := range status {
		name, _, _ := strings.Cut(path.Base(m.Source.Path), ".")
		if m.Source.Type == goose.TypeGo {
			name = fmt.Sprintf("%05d_old_data", m.Source.Version)
		}
		list[i] = Migration{Version: m.Source.Version, Name: name, AppliedAt: m.AppliedAt}
	}
	return list, nil
}

// Check returns an error unless the schema is that of this release.
func (s Schema) Check(ctx context.Context) error {
	pending, err := s.pending(ctx)
	if err == nil && pending {
		err = errors.New("migrations are pending: run `app migrate up`")
	}
	return err
}

// pending reports whether migrations are pending. It is an error if the schema is
// newer than this release.
func (s Schema) pending(ctx context.Context) (bool, error) {
	current, known, err := s.migrations.GetVersions(ctx)
	if err != nil {
		return false, fmt.Errorf("read schema version: %w", err)
	}
	if current > known {
		return false, fmt.Errorf("the schema has version %d, but this release knows only up to %d: run the newer release that migrated it", current, known)
	}
	return current < known, nil
}
