package cmd

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/store"
)

// migrator migrates a database.
type migrator interface {
	Migrate(ctx context.Context) error
	Migrations(ctx context.Context) ([]store.Migration, error)
}

func newMigrate() *cobra.Command {
	migrate := &cobra.Command{Use: "migrate", Short: "Migrate the schema of the database, or copy it to another one"}
	return group(migrate, newMigrateUp(), newMigrateStatus(), newMigrateCopy())
}

func newMigrateUp() *cobra.Command {
	var data dataConfig
	command := &cobra.Command{
		Use:   "up",
		Short: "Apply the pending migrations; the serve commands do it too",
		Args:  noArgs,
	}
	register(command, &data)
	command.RunE = func(command *cobra.Command, _ []string) error {
		return withNewDatabase(command.Context(), data, func(db database) error {
			if err := db.Migrate(command.Context()); err != nil {
				return err
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
		Short: "List the migrations and when they were applied",
		Args:  noArgs,
	}
	register(command, &data)
	command.RunE = func(command *cobra.Command, _ []string) error {
		return withDatabase(command.Context(), data, func(db database) error { return printMigrations(command, db) })
	}
	return command
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
