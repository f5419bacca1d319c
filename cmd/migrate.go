package cmd

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/store/sqlite"
)

// migrator brings a database's schema up to date.
type migrator interface {
	Migrate(ctx context.Context) error
	Migrations(ctx context.Context) ([]sqlite.Migration, error)
}

func newMigrate() *cobra.Command {
	migrate := &cobra.Command{Use: "migrate", Short: "Look after the schema of the database"}
	return group(migrate, newMigrateUp(), newMigrateStatus())
}

func newMigrateUp() *cobra.Command {
	var data dataConfig
	command := &cobra.Command{
		Use:   "up",
		Short: "Bring the schema up to date; the serve commands do it too",
		Args:  cobra.NoArgs,
	}
	register(command, &data)
	command.RunE = func(command *cobra.Command, _ []string) error {
		return withDatabase(command.Context(), data, func(db database) error {
			if err := db.Migrate(command.Context()); err != nil {
				return fmt.Errorf("migrate the database: %w", err)
			}
			return printMigrations(command, db)
		})
	}
	return command
}

func newMigrateStatus() *cobra.Command {
	var data dataConfig
	command := &cobra.Command{
		Use:   "status",
		Short: "List the schema's migrations and when they were applied",
		Args:  cobra.NoArgs,
	}
	register(command, &data)
	command.RunE = func(command *cobra.Command, _ []string) error {
		return withDatabase(command.Context(), data, func(db database) error { return printMigrations(command, db) })
	}
	return command
}

// withDatabase opens the database for one command, beside a running process if
// there is one: every change that a command makes is a transaction of its own.
func withDatabase(ctx context.Context, data dataConfig, use func(database) error) error {
	db, err := openDatabase(ctx, data.url())
	if err != nil {
		return err
	}
	if err := use(db); err != nil {
		_ = db.Close() // the first error is the one that matters
		return err
	}
	return db.Close()
}

func printMigrations(command *cobra.Command, db database) error {
	migrations, err := db.Migrations(command.Context())
	if err != nil {
		return fmt.Errorf("list migrations: %w", err)
	}
	table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERSION\tNAME\tAPPLIED")
	for _, m := range migrations {
		applied := "pending"
		if !m.AppliedAt.IsZero() {
			applied = m.AppliedAt.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%d\t%s\t%s\n", m.Version, m.Name, applied)
	}
	return table.Flush()
}
