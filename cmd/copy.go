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

	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/sqlite"
)

// copyConfig says from where a ledger is copied, and to where.
type copyConfig struct {
	source dataConfig
	target string
}

func (c *copyConfig) RegisterFlags(fs *flag.FlagSet) {
	c.source.dirConfig.RegisterFlags(fs)
	fs.StringVar(&c.source.databaseURL, "from", "", "copy the SQLite database of this URL, sqlite://path/to/file; by default payrelay.db in the data directory")
	fs.StringVar(&c.target, "database-url", "", "copy into the database `DATABASE_URL`, postgres://user:password@host/name, which has to be migrated and empty")
}

func newMigrateCopy() *cobra.Command {
	var cfg copyConfig
	command := &cobra.Command{
		Use:   "copy",
		Short: "Copy everything from SQLite into an empty PostgreSQL database, and compare",
		Long: "Copies all orders, disputes, events and dead letters of an SQLite database that no process uses\n" +
			"into an empty PostgreSQL database, as one transaction, and reads them back to compare.\n" +
			"Run again, it tells whether they are there.\n" +
			"The SQLite database keeps what it has, but no process starts on it any more.",
		Args: noArgs,
	}
	register(command, &cfg)
	command.RunE = func(command *cobra.Command, _ []string) error {
		copied, err := copyDatabase(command.Context(), cfg, command.ErrOrStderr())
		if err != nil {
			return err
		}
		fmt.Fprintf(command.OutOrStdout(), "everything is in %s\n\n", shownURL(cfg.target))
		return printCopied(command.OutOrStdout(), copied)
	}
	return command
}

// copyDatabase keeps every other process off the source, as one does that serves,
// and afterwards too.
func copyDatabase(ctx context.Context, cfg copyConfig, progress io.Writer) (copied []store.Comparison, err error) {
	path, err := cfg.sourceFile()
	if err != nil {
		return nil, err
	}
	unlock, err := lockDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	source, err := sqlite.Open(ctx, cfg.source.url())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := postgres.Open(ctx, cfg.target)
	if err != nil {
		return nil, fmt.Errorf("database-url (DATABASE_URL), the database to copy into: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	move := move{path, cfg.target}
	copied, err = copyLedger(ctx, source, target, move, progress)
	if err := move.explained(err); err != nil {
		return nil, err
	}
	return copied, move.noteDone()
}

// sourceFile is the file to copy, which is there.
func (c copyConfig) sourceFile() (string, error) {
	if c.target == "" {
		return "", errors.New("database-url (DATABASE_URL) is empty: name the PostgreSQL database to copy into")
	}
	path, err := sqlite.Path(c.source.url())
	if err != nil {
		return "", fmt.Errorf("from, the database to copy: %w", err)
	}
	if !exists(path) {
		return "", fmt.Errorf("there is no database %s: name its directory with --data-dir, or the file with --from", path)
	}
	return path, nil
}

func copyLedger(ctx context.Context, source *sqlite.Store, target *postgres.Store, move move, progress io.Writer) ([]store.Comparison, error) {
	snapshot, err := source.Freeze(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the database to copy: %w", err)
	}
	noted := false
	copied, err := target.Fill(ctx, snapshot, tellRarely(progress), func() error {
		noted = true
		return move.noteBegun()
	})
	if err != nil && noted && !errors.Is(err, postgres.ErrUncertain) {
		err = errors.Join(err, move.forget())
	}
	return copied, errors.Join(err, snapshot.Close())
}

// tellPeriod is how often a person is told how far a copy has come.
const tellPeriod = 2 * time.Second

func tellRarely(out io.Writer) func(string, *store.Tally) {
	told := time.Now()
	return func(step string, sofar *store.Tally) {
		if now := time.Now(); now.Sub(told) >= tellPeriod {
			told = now
			fmt.Fprintf(out, "%s: %d rows %s\n", sofar.Table, sofar.Rows, step)
		}
	}
}

func printCopied(out io.Writer, copied []store.Comparison) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TABLE\tROWS IN SQLITE\tIN POSTGRESQL\tSHA-256 IN SQLITE\tIN POSTGRESQL")
	for _, c := range copied {
		fmt.Fprintf(table, "%s\t%d\t%d\t%.8x\t%.8x\n", c.Source.Table, c.Source.Rows, c.Target.Rows, c.Source.Digest(), c.Target.Digest())
	}
	return table.Flush()
}
