package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/payrelay/payrelay/modules/store"
)

// stalledAfter is how long a copy may stand still.
const stalledAfter = 2 * time.Minute

var errStalled = fmt.Errorf("nothing has moved for %v", stalledAfter)

// Fill copies a snapshot of another database into this one, which must be migrated
// and empty, reads all of it back and compares. It is one transaction: an error
// means that this database is as empty as before. The exception is a connection
// that breaks while the server confirms it; then it may be full.
//
// note is called for each row that was "copied" and then "compared", with what
// there has been of its table.
func (s *Store) Fill(ctx context.Context, from store.Snapshot, note func(step string, sofar *store.Tally)) ([]store.Comparison, error) {
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
	})
	if err != nil && context.Cause(ctx) == errStalled {
		err = fmt.Errorf("%w: %w", errStalled, err)
	}
	if err != nil {
		return nil, fmt.Errorf("fill database: %w", classified(err))
	}
	return done, nil
}

func (s *Store) fill(ctx context.Context, from store.Snapshot, note func(string, *store.Tally)) (done []store.Comparison, err error) {
	// A connection of its own, as for a migration: what it does may take its time.
	conn, err := pgx.ConnectConfig(ctx, s.migration)
	if err != nil {
		return nil, err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		done, err = filling{tx, note}.fill(ctx, from)
		return err
	})
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	return done, errors.Join(err, conn.Close(closing))
}

// filling is a database that is being filled.
type filling struct {
	tx   pgx.Tx
	note func(step string, sofar *store.Tally)
}

func (f filling) fill(ctx context.Context, from store.Snapshot) ([]store.Comparison, error) {
	if err := f.take(ctx); err != nil {
		return nil, err
	}
	done := make([]store.Comparison, len(store.Tables))
	for i, table := range store.Tables {
		var err error
		if done[i], err = f.fillTable(ctx, from, table); err != nil {
			return nil, fmt.Errorf("table %s: %w", table, withPlace(err))
		}
	}
	// Without statistics the pages that people ask for would be planned badly.
	_, err := f.tx.Exec(ctx, "ANALYZE "+allTables)
	return done, err
}

var allTables = strings.Join(store.Tables, ", ")

// take keeps others from writing, and makes sure that nobody has. Reading a table
// back in the sequence of its key must not sort it.
func (f filling) take(ctx context.Context) error {
	if _, err := f.tx.Exec(ctx, "LOCK TABLE "+allTables+" IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		return fmt.Errorf("keep others from writing: %w", err)
	}
	for _, table := range store.Tables {
		var filled bool
		if err := f.tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+table+")").Scan(&filled); err != nil {
			return fmt.Errorf("look into table %s: %w", table, err)
		}
		if filled {
			return fmt.Errorf("table %s has rows already: create another database, run `app migrate up` on it and copy into that", table)
		}
	}
	_, err := f.tx.Exec(ctx, "SET LOCAL enable_sort = off")
	return err
}

func (f filling) fillTable(ctx context.Context, from store.Snapshot, table string) (both store.Comparison, err error) {
	rows, err := from.Table(ctx, table)
	if err != nil {
		return both, err
	}
	defer rows.Close()
	kinds, err := f.kinds(ctx, table, rows.Columns())
	if err != nil {
		return both, err
	}
	if both.Source, err = f.copy(ctx, table, rows, kinds); err != nil {
		return both, fmt.Errorf("copy: %w", err)
	}
	if err := f.goOnAfter(ctx, table, rows.Columns()[0], kinds[0]); err != nil {
		return both, fmt.Errorf("number what will come: %w", err)
	}
	if both.Target, err = f.read(ctx, table, rows.Columns()); err != nil {
		return both, fmt.Errorf("read back: %w", err)
	}
	return both, both.Check()
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
	return tally, err
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
