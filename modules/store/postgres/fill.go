package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/payrelay/payrelay/modules/store"
)

const (
	// stalledAfter is how long a copy may stand still.
	stalledAfter = 2 * time.Minute
	// commitWithin is how long a server may take to keep one: it waits for a
	// synchronous standby, which has to flush all of it.
	commitWithin = 2 * time.Minute
)

var errStalled = fmt.Errorf("nothing has moved for %v", stalledAfter)

// ErrUncertain says of a copy that the server was told to keep it, and that nobody
// has heard whether it does. To fill again tells.
var ErrUncertain = errors.New("the server has not confirmed the commit")

// Fill copies a snapshot of another database into this one, which must be migrated
// and empty, reads all of it back and compares. One that has exactly these rows
// already is compared only. It is one transaction: an error means that this
// database is as before, unless it is ErrUncertain.
//
// note is called for each row that was "copied", or "read", and then "compared",
// with what there has been of its table. ready is called when nothing is left but to commit,
// which the end of ctx does not stop any more; its error does.
func (s *Store) Fill(ctx context.Context, from store.Snapshot, note func(step string, sofar *store.Tally), ready func() error) ([]store.Comparison, error) {
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stalledAfter, func() { cancel(errStalled) })
	defer stalled.Stop()
	done, err := s.fill(ctx, from, func(step string, sofar *store.Tally) {
		stalled.Reset(stalledAfter)
		note(step, sofar)
	}, ready)
	if err != nil && context.Cause(ctx) == errStalled && !errors.Is(err, ErrUncertain) {
		err = fmt.Errorf("%w: %w", errStalled, err)
	}
	if err != nil {
		return nil, fmt.Errorf("fill database: %w", classified(err))
	}
	return done, nil
}

func (s *Store) fill(ctx context.Context, from store.Snapshot, note func(string, *store.Tally), ready func() error) ([]store.Comparison, error) {
	// A connection of its own, as for a migration: what it does may take its time.
	cfg := s.migration.Copy()
	if err := neverCancel(new(atomic.Int64))(ctx, cfg); err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer closeSoon(ctx, conn.Close)
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	done, err := filling{tx, note}.fill(ctx, from)
	if err == nil {
		err = ready()
	}
	if err != nil {
		closeSoon(ctx, tx.Rollback)
		return nil, err
	}
	return done, commit(ctx, tx)
}

// closeSoon ends what nothing depends on any more: the server ends it as well when
// it misses the client.
func closeSoon(ctx context.Context, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	_ = end(ctx)
}

// commit does not stop with ctx: there would be no knowing what became of it.
func commit(ctx context.Context, tx pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWithin)
	defer cancel()
	err := tx.Commit(ctx)
	if err == nil || notCommitted(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUncertain, err)
}

// notCommitted says that the server refused the commit. One that ends the session
// may have committed before; and pgconn.SafeToRetry is no help, for it says so of a
// connection that breaks while the answer is awaited, too.
func notCommitted(err error) bool {
	var failed *pgconn.PgError
	return errors.Is(err, pgx.ErrTxCommitRollback) || errors.As(err, &failed) && failed.SeverityUnlocalized == "ERROR"
}

// filling is a database that is being filled.
type filling struct {
	tx   pgx.Tx
	note func(step string, sofar *store.Tally)
}

func (f filling) fill(ctx context.Context, from store.Snapshot) ([]store.Comparison, error) {
	filled, err := f.take(ctx)
	if err != nil {
		return nil, err
	}
	done := make([]store.Comparison, len(store.Tables))
	for i, table := range store.Tables {
		if done[i], err = f.fillTable(ctx, from, table, filled == ""); err != nil {
			return nil, fmt.Errorf("table %s: %w", table, withPlace(err))
		}
		if err := done[i].Check(); err != nil && filled != "" {
			return nil, fmt.Errorf("table %s has rows already: create another database, run `app migrate up` on it and copy into that (%w)", filled, err)
		} else if err != nil {
			return nil, err
		}
	}
	// Without statistics the pages that people ask for would be planned badly. And
	// it writes, so that the commit of a mere comparison waits for a standby too.
	_, err = f.tx.Exec(ctx, "ANALYZE "+allTables)
	return done, err
}

var allTables = strings.Join(store.Tables, ", ")

// take keeps others from writing, and names a table that somebody has written to.
// Reading a table back in the sequence of its key must not sort it.
func (f filling) take(ctx context.Context) (filled string, err error) {
	if _, err := f.tx.Exec(ctx, "LOCK TABLE "+allTables+" IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		return "", fmt.Errorf("keep others from writing: %w", err)
	}
	for _, table := range store.Tables {
		var rows bool
		if err := f.tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+table+")").Scan(&rows); err != nil {
			return "", fmt.Errorf("look into table %s: %w", table, err)
		}
		if rows {
			filled = table
		}
	}
	_, err = f.tx.Exec(ctx, "SET LOCAL enable_sort = off")
	return filled, err
}

// fillTable copies a table, if it is empty, and counts what is there.
func (f filling) fillTable(ctx context.Context, from store.Snapshot, table string, empty bool) (both store.Comparison, err error) {
	rows, err := from.Table(ctx, table)
	if err != nil {
		return both, err
	}
	defer rows.Close()
	kinds, err := f.kinds(ctx, table, rows.Columns())
	if err != nil {
		return both, err
	}
	if empty {
		both.Source, err = f.copy(ctx, table, rows, kinds)
	} else {
		both.Source, err = f.tally(table, rows)
	}
	if err != nil {
		return both, err
	}
	if both.Target, err = f.read(ctx, table, rows.Columns()); err != nil {
		return both, fmt.Errorf("read back: %w", err)
	}
	return both, nil
}

// tally counts what would be copied.
func (f filling) tally(table string, rows store.Rows) (*store.Tally, error) {
	tally := store.NewTally(table)
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		if err := f.count("read", tally, values); err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return tally, nil
}

// copy streams rows into a table and counts them.
func (f filling) copy(ctx context.Context, table string, rows store.Rows, kinds []uint32) (*store.Tally, error) {
	tally := store.NewTally(table)
	var failed error // pgx hands on no more than its text
	next := func() ([]any, error) {
		if !rows.Next() {
			failed = rows.Err()
			return nil, failed
		}
		values, err := rows.Values()
		if err == nil {
			err = f.count("copied", tally, values)
		}
		for i := range values {
			values[i] = native(values[i], kinds[i])
		}
		failed = err
		return values, err
	}
	_, err := f.tx.CopyFrom(ctx, pgx.Identifier{table}, rows.Columns(), pgx.CopyFromFunc(next))
	if failed != nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("copy: %w", err)
	}
	if err := f.goOnAfter(ctx, table, rows.Columns()[0], kinds[0]); err != nil {
		return nil, fmt.Errorf("number what will come: %w", err)
	}
	return tally, nil
}

// kinds are the types of a table's columns, which must be the given ones.
func (f filling) kinds(ctx context.Context, table string, columns []string) ([]uint32, error) {
	description, err := f.tx.Prepare(ctx, "", "SELECT * FROM "+table)
	if err != nil {
		return nil, err
	}
	known := make(map[string]uint32, len(columns))
	for _, field := range description.Fields {
		known[field.Name] = field.DataTypeOID
	}
	kinds := make([]uint32, len(columns))
	for i, column := range columns {
		kinds[i] = known[column]
	}
	if len(known) != len(columns) || slices.Contains(kinds, 0) {
		return nil, fmt.Errorf("it does not have the columns %s, no more and no less", strings.Join(columns, ", "))
	}
	return kinds, nil
}

// goOnAfter has numbers given after those that are taken. Of a key that is no
// number there is nothing to give.
func (f filling) goOnAfter(ctx context.Context, table, key string, kind uint32) error {
	if kind != pgtype.Int8OID {
		return nil
	}
	_, err := f.tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence('"+table+"', '"+key+"'), max("+key+")) FROM "+table)
	return err
}

// read counts what is there, by the columns of the source.
func (f filling) read(ctx context.Context, table string, columns []string) (*store.Tally, error) {
	rows, err := f.tx.Query(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+table+" ORDER BY 1")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	tally := store.NewTally(table)
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, err
		}
		for i := range values {
			values[i] = common(values[i])
		}
		if err := f.count("compared", tally, values); err != nil {
			return nil, err
		}
	}
	return tally, rows.Err()
}

func (f filling) count(step string, tally *store.Tally, values []any) error {
	if err := tally.Add(values); err != nil {
		return err
	}
	f.note(step, tally)
	return nil
}

// native gives a value, as [store.Rows] has it, the type of its column.
func native(value any, kind uint32) any {
	number, ok := value.(int64)
	switch {
	case ok && kind == pgtype.TimestamptzOID:
		return time.UnixMicro(number)
	case ok && kind == pgtype.BoolOID:
		return number != 0
	default:
		return value
	}
}

// common is the inverse of native.
func common(value any) any {
	switch v := value.(type) {
	case time.Time:
		return v.UnixMicro()
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case int32:
		return int64(v)
	case []byte:
		if len(v) == 0 {
			return nil
		}
	}
	return value
}

// withPlace adds the row and the column that the server means.
func withPlace(err error) error {
	var failed *pgconn.PgError
	if errors.As(err, &failed) && failed.Where != "" {
		return fmt.Errorf("%w: %s", err, failed.Where)
	}
	return err
}
