package sqlite

import (
	"context"
	"embed"
	"fmt"

	"github.com/payrelay/payrelay/modules/store"
	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrationFiles embed.FS

// Migrate brings the tables up to what this release needs. It refuses a database
// that a newer release has migrated.
func (s *Store) Migrate(ctx context.Context) error {
	schema, err := s.schema()
	if err == nil {
		err = schema.Migrate(ctx)
	}
	if err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}

// Migrations lists the migrations that this release knows by ascending version.
func (s *Store) Migrations(ctx context.Context) (list []store.Migration, err error) {
	schema, err := s.schema()
	if err == nil {
		list, err = schema.Migrations(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	return list, nil
}

// checkSchema says whether the tables are those that this release knows.
func (s *Store) checkSchema(ctx context.Context) error {
	schema, err := s.schema()
	if err != nil {
		return err
	}
	return schema.Check(ctx)
}

func (s *Store) schema() (store.Schema, error) {
	return store.NewSchema(goose.DialectSQLite3, s.writer, migrationFiles)
}
