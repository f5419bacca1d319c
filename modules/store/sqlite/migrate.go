package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/payrelay/payrelay/modules/store"
	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrationFiles embed.FS

// Migrate applies the pending migrations. It is an error if a newer release has
// migrated the database.
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

// Migrations returns the migrations of this release by ascending version.
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

// checkSchema returns an error unless the tables are those of this release.
func (s *Store) checkSchema(ctx context.Context) error {
	schema, err := s.schema()
	if err != nil {
		return err
	}
	return schema.Check(ctx)
}

func (s *Store) schema() (store.Schema, error) {
	oldData := goose.NewGoMigration(4, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		return store.MigrateOldData(ctx, tx, dialect)
	}}, nil)
	return store.NewSchema(goose.DialectSQLite3, s.writer, migrationFiles, goose.WithGoMigrations(oldData))
}
