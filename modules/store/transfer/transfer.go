// Package transfer copies a ledger from one database into another: which tables in
// which order, the comparison of the two sides, and the note next to the source
// that keeps processes off it once everything may be in the target. What an engine
// has to do for it is in [Source] and [Target]; the command is app migrate copy.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Tables are the tables of the ledger, each after the ones that its rows refer to. They
// have the same columns in every engine, the first of which is a unique number. An engine
// can have further columns that are NULL in what is copied, or that it sets itself.
var Tables = []string{"orders", "disputes", "events", "bodies", "dead_letters", "erasures", "audit"}

// Rows are the rows of a table, read one after the other.
type Rows interface {
	Columns() []string
	Next() bool
	// Values returns the values of the columns in types that every engine has:
	// int64, string, []byte, or nil for NULL. A time is its microseconds since
	// 1970 in UTC, a boolean is 0 or 1, and empty bytes are nil. The caller may
	// change the slice.
	Values() ([]any, error)
	Err() error
	Close()
}

// Source is the database to copy from.
type Source interface {
	// Freeze keeps all processes from writing until the snapshot is closed or ctx
	// ends.
	Freeze(ctx context.Context) (Snapshot, error)
}

// Snapshot is a database that nothing writes to.
type Snapshot interface {
	// Table returns the rows of a table by ascending primary key.
	Table(ctx context.Context, name string) (Rows, error)
	Close() error
}

// Target is the database to copy into. It must be migrated.
type Target interface {
	// BeginCopy begins a transaction that keeps others from writing.
	BeginCopy(ctx context.Context) (Transaction, error)
}

// Transaction is one on a [Target].
type Transaction interface {
	// Table returns the rows of a table by ascending primary key. It fails where
	// the table does not have exactly these columns.
	Table(ctx context.Context, name string, columns []string) (Rows, error)
	// HasRows reports whether a table has any row.
	HasRows(ctx context.Context, name string) (bool, error)
	// Insert writes rows to an empty table and has later rows numbered after
	// them. It fails where the table does not have exactly their columns.
	Insert(ctx context.Context, name string, rows Rows) error
	// Analyze gathers the statistics by which the database plans queries.
	Analyze(ctx context.Context) error
	// Commit ends the transaction, and does not stop when ctx ends. The error is
	// ErrUncertain where the database may have committed.
	Commit(ctx context.Context) error
	// Rollback ends the transaction without a commit.
	Rollback(ctx context.Context)
}

// ErrUncertain means that the target was asked to commit and has not confirmed it.
// A second run of the same copy finds out whether it did.
var ErrUncertain = errors.New("the server has not confirmed the commit")

// stallTimeout is the longest time without progress, of a copy that is not being
// committed.
const stallTimeout = 2 * time.Minute

var errStalled = fmt.Errorf("no progress for %v", stallTimeout)

// Progress is called for each row that was "copied" or "read", and then "compared",
// with the rows of its table so far.
type Progress func(step string, sofar *Tally)

// Move copies the source, a database file, and leaves a note next to it.
func Move(ctx context.Context, source Source, target Target, note Note, progress Progress) ([]Comparison, error) {
	noted := false
	compared, err := Copy(ctx, source, target, progress, func() error {
		noted = true
		return note.Begin()
	})
	if err != nil && noted && !errors.Is(err, ErrUncertain) {
		err = errors.Join(err, note.Remove())
	}
	if err := note.Explain(err); err != nil {
		return nil, err
	}
	return compared, note.Done()
}

// Copy writes the rows of the source to an empty target as one transaction, reads
// them back and compares. A target that has exactly these rows already is only
// compared. After an error other than ErrUncertain the target is unchanged.
//
// ready is called when nothing is left but the commit, which does not happen if it
// returns an error.
func Copy(ctx context.Context, source Source, target Target, progress Progress, ready func() error) (compared []Comparison, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	defer stalled.Stop()
	defer func() {
		if err != nil && context.Cause(ctx) == errStalled && !errors.Is(err, ErrUncertain) {
			err = fmt.Errorf("%w: %w", errStalled, err)
		}
	}()
	snapshot, err := source.Freeze(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the database to copy: %w", err)
	}
	defer func() { _ = snapshot.Close() }() // an error does not change what was copied
	tx, err := target.BeginCopy(ctx)
	if err != nil {
		return nil, err
	}
	compared, err = copyTables(ctx, snapshot, tx, func(step string, sofar *Tally) {
		stalled.Reset(stallTimeout)
		progress(step, sofar)
	})
	if err == nil {
		// Without statistics the first queries would be planned badly. It also
		// writes, so that the commit after a mere comparison waits for a
		// synchronous standby like any other.
		err = tx.Analyze(ctx)
	}
	if err == nil {
		err = ready()
	}
	if err != nil {
		tx.Rollback(ctx)
		return nil, err
	}
	return compared, tx.Commit(ctx)
}

func copyTables(ctx context.Context, source Snapshot, target Transaction, progress Progress) ([]Comparison, error) {
	filled := ""
	for _, table := range Tables {
		hasRows, err := target.HasRows(ctx, table)
		if err != nil {
			return nil, fmt.Errorf("inspect table %s: %w", table, err)
		}
		if hasRows {
			filled = table
		}
	}
	compared := make([]Comparison, len(Tables))
	for i, table := range Tables {
		both, err := copyTable(ctx, source, target, table, filled == "", progress)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", table, err)
		}
		if err := both.Check(); err != nil && filled != "" {
			return nil, fmt.Errorf("table %s has rows already: create another database, run `app migrate up` on it and copy into that (%w)", filled, err)
		} else if err != nil {
			return nil, err
		}
		compared[i] = both
	}
	return compared, nil
}

// copyTable copies a table if the target is empty, and counts both sides.
func copyTable(ctx context.Context, source Snapshot, target Transaction, table string, empty bool, progress Progress) (Comparison, error) {
	both := Comparison{NewTally(table), NewTally(table)}
	rows, err := source.Table(ctx, table)
	if err != nil {
		return both, err
	}
	defer rows.Close()
	if empty {
		if err := target.Insert(ctx, table, counted{rows, both.Source, "copied", progress}); err != nil {
			return both, fmt.Errorf("copy: %w", err)
		}
	} else if err := (counted{rows, both.Source, "read", progress}).drain(); err != nil {
		return both, fmt.Errorf("read: %w", err)
	}
	written, err := target.Table(ctx, table, rows.Columns())
	if err != nil {
		return both, fmt.Errorf("read back: %w", err)
	}
	defer written.Close()
	if err := (counted{written, both.Target, "compared", progress}).drain(); err != nil {
		return both, fmt.Errorf("read back: %w", err)
	}
	return both, nil
}

// counted adds rows to a tally as they are read.
type counted struct {
	Rows
	tally    *Tally
	step     string
	progress Progress
}

func (c counted) Values() ([]any, error) {
	values, err := c.Rows.Values()
	if err == nil {
		err = c.tally.Add(values)
	}
	if err == nil {
		c.progress(c.step, c.tally)
	}
	return values, err
}

func (c counted) drain() error {
	for c.Next() {
		if _, err := c.Values(); err != nil {
			return err
		}
	}
	return c.Err()
}

// progressPeriod is the time between two lines about the progress of a copy.
const progressPeriod = 2 * time.Second

// PrintProgress returns a Progress that prints a line from time to time.
func PrintProgress(out io.Writer) Progress {
	printed := time.Now()
	return func(step string, sofar *Tally) {
		if now := time.Now(); now.Sub(printed) >= progressPeriod {
			printed = now
			fmt.Fprintf(out, "%s: %d rows %s\n", sofar.Table, sofar.Rows, step)
		}
	}
}
