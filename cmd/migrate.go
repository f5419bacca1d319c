package cmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/store/transfer"
)

// migrator migrates a database.
type migrator interface {
	Migrate(ctx context.Context) error
	Migrations(ctx context.Context) ([]store.Migration, error)
}

func newMigrate() *cobra.Command {
	migrate := &cobra.Command{Use: "migrate", Short: "Migrate the schema of the database, or copy it to another one"}
	return flags.Group(migrate, newMigrateUp(), newMigrateStatus(), newMigrateCopy())
}

func newMigrateUp() *cobra.Command {
	var data flags.Data
	command := &cobra.Command{
		Use:   "up",
		Short: "Apply the pending migrations; the serve commands do it too",
		Args:  flags.NoArgs,
	}
	flags.Register(command, &data)
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
	var data flags.Data
	command := &cobra.Command{
		Use:   "status",
		Short: "List the migrations and when they were applied",
		Args:  flags.NoArgs,
	}
	flags.Register(command, &data)
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

// copyConfig names the databases of a copy.
type copyConfig struct {
	source flags.Dir
	from   string
	target flags.DatabaseURL
}

func (c *copyConfig) RegisterFlags(fs *flag.FlagSet) {
	c.source.RegisterFlags(fs)
	fs.StringVar(&c.from, "from", "", "URL of the SQLite database to copy, sqlite://path/to/file, by default payrelay.db in the data directory")
	c.target.Register(fs, "URL of the database to copy into, postgres://user:password@host/name, which must be migrated and empty: `DATABASE_URL`")
}

func newMigrateCopy() *cobra.Command {
	var cfg copyConfig
	command := &cobra.Command{
		Use:   "copy",
		Short: "Copy everything from SQLite to an empty PostgreSQL database, and compare",
		Long: "Copies all orders, disputes, events, bodies and dead letters of an SQLite database that no process uses\n" +
			"into an empty PostgreSQL database, as one transaction, and reads them back to compare.\n" +
			"If they are there already, it only compares.\n" +
			"The SQLite database stays as it is, but no process starts with it any more.",
		Args: flags.NoArgs,
	}
	flags.Register(command, &cfg)
	command.RunE = func(command *cobra.Command, _ []string) error {
		copied, err := copyDatabase(command.Context(), cfg, command.ErrOrStderr())
		if err != nil {
			return err
		}
		fmt.Fprintf(command.OutOrStdout(), "everything is in %s\n\n", flags.ShownURL(cfg.target.Secret()))
		return printCopied(command.OutOrStdout(), copied)
	}
	return command
}

// copyDatabase locks the source's directory during the copy, as a process does that
// serves; the note of the move keeps them off it afterwards.
func copyDatabase(ctx context.Context, cfg copyConfig, progress io.Writer) (copied []transfer.Comparison, err error) {
	if cfg.target.Secret() == "" {
		return nil, errors.New("database-url (DATABASE_URL) is empty: name the PostgreSQL database to copy into")
	}
	from := cfg.from
	if from == "" {
		from = cfg.source.FileURL()
	}
	path, err := sqlite.Path(from)
	if err != nil {
		return nil, fmt.Errorf("find the database to copy (--from): %w", err)
	}
	if !exists(path) {
		return nil, fmt.Errorf("there is no database %s: name its directory with --data-dir, or the file with --from", path)
	}
	unlock, err := lockDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	source, err := sqlite.Open(ctx, from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := postgres.Open(ctx, cfg.target.Secret())
	if err != nil {
		return nil, fmt.Errorf("database-url (DATABASE_URL), the database to copy into: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	note := transfer.Note{Path: path, Target: flags.ShownURL(cfg.target.Secret())}
	return transfer.Move(ctx, source, target, note, transfer.PrintProgress(progress))
}

func printCopied(out io.Writer, copied []transfer.Comparison) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TABLE\tROWS IN SQLITE\tIN POSTGRESQL\tSHA-256 IN SQLITE\tIN POSTGRESQL")
	for _, c := range copied {
		fmt.Fprintf(table, "%s\t%d\t%d\t%.8x\t%.8x\n", c.Source.Table, c.Source.Rows, c.Target.Rows, c.Source.Digest(), c.Target.Digest())
	}
	return table.Flush()
}
