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

	"github.com/payrelay/payrelay/modules/store/transfer"
)

// copyCommitTimeout bounds the commit of a copy: it waits for a synchronous
// standby, which has to flush all of it.
const copyCommitTimeout = 2 * time.Minute

var allTables = strings.Join(transfer.Tables, ", ")

// BeginCopy begins a transaction that keeps others from writing. It has its own
// connection, because its statements may take long.
func (s *Store) BeginCopy(ctx context.Context) (transfer.Transaction, error) {
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	cfg := s.migration.Copy()
	if err := neverCancel(new(atomic.Int64))(ctx, cfg); err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", classified(err))
	}
	if err := s.checkNew(ctx, conn); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	tx, err := conn.Begin(ctx)
	c := copying{conn, tx}
	if err == nil && s.pooled {
		_, err = tx.Exec(ctx, s.first.migration)
	}
	if err == nil {
		// Reading a table back by ascending key must use the index, not sort it.
		_, err = tx.Exec(ctx, "LOCK TABLE "+allTables+" IN SHARE ROW EXCLUSIVE MODE; SET LOCAL enable_sort = off")
	}
	if err != nil {
		c.close(ctx)
		return nil, fmt.Errorf("keep others from writing: %w", classified(err))
	}
	return c, nil
}

// copying is a transaction into which tables are copied.
type copying struct {
	conn *pgx.Conn
	tx   pgx.Tx
}

func (c copying) HasRows(ctx context.Context, table string) (found bool, err error) {
	err = c.tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+table+")").Scan(&found)
	return found, classified(err)
}

// Insert streams the rows into a table.
func (c copying) Insert(ctx context.Context, table string, rows transfer.Rows) error {
	columns := rows.Columns()
	types, err := c.columnTypes(ctx, table, columns)
	if err != nil {
		return err
	}
	var failed error // pgx passes on only its text
	_, err = c.tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromFunc(func() (values []any, err error) {
		if !rows.Next() {
			failed = rows.Err()
			return nil, failed
		}
		values, failed = rows.Values()
		for i := range values {
			values[i] = toColumn(values[i], types[i])
		}
		return values, failed
	}))
	if failed != nil {
		return failed
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Where != "" { // the row and the column
		err = fmt.Errorf("%w: %s", err, refused.Where)
	}
	if err != nil {
		return classified(err)
	}
	if key := columns[0]; types[0] == pgtype.Int8OID {
		_, err = c.tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence('"+table+"', '"+key+"'), max("+key+")) FROM "+table)
	}
	return classified(err)
}

// columnTypes returns the types of a table's columns. It is an error if the table
// does not have exactly these columns.
func (c copying) columnTypes(ctx context.Context, table string, columns []string) ([]uint32, error) {
	description, err := c.tx.Prepare(ctx, "", "SELECT * FROM "+table)
	if err != nil {
		return nil, classified(err)
	}
	known := make(map[string]uint32, len(columns))
	for _, field := range description.Fields {
		known[field.Name] = field.DataTypeOID
	}
	switch table {
	case "events":
		delete(known, "body") // it is only for events from before the table bodies
	case "dead_letters":
		delete(known, "search") // a trigger sets it
	}
	types := make([]uint32, len(columns))
	for i, column := range columns {
		types[i] = known[column]
	}
	if len(known) != len(columns) || slices.Contains(types, 0) {
		return nil, fmt.Errorf("it does not have the columns %s, no more and no less", strings.Join(columns, ", "))
	}
	return types, nil
}

func (c copying) Table(ctx context.Context, table string, columns []string) (transfer.Rows, error) {
	if _, err := c.columnTypes(ctx, table, columns); err != nil {
		return nil, err
	}
	rows, err := c.tx.Query(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+table+" ORDER BY 1, 2")
	if err != nil {
		return nil, classified(err)
	}
	return tableRows{rows, columns}, nil
}

func (c copying) Analyze(ctx context.Context) error {
	_, err := c.tx.Exec(ctx, "ANALYZE "+allTables)
	return classified(err)
}

// Commit does not stop when ctx ends: then it would not be known whether the
// server has committed.
func (c copying) Commit(ctx context.Context) error {
	committing, cancel := context.WithTimeout(context.WithoutCancel(ctx), copyCommitTimeout)
	defer cancel()
	defer c.close(ctx)
	err := c.tx.Commit(committing)
	// The server has refused the commit with an ERROR. A FATAL one ends the session,
	// which may have committed before. pgconn.SafeToRetry is no help: it is true for
	// a connection that breaks while the answer is awaited, too.
	var failed *pgconn.PgError
	if err == nil || errors.Is(err, pgx.ErrTxCommitRollback) || errors.As(err, &failed) && failed.SeverityUnlocalized == "ERROR" {
		return classified(err)
	}
	return fmt.Errorf("%w: %w", transfer.ErrUncertain, err)
}

func (c copying) Rollback(ctx context.Context) { c.close(ctx) }

// close ends a transaction that is not committed, and the connection. An error does
// not matter: the server ends both when the client is gone.
func (c copying) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if c.tx != nil {
		_ = c.tx.Rollback(ctx)
	}
	_ = c.conn.Close(ctx)
}

// tableRows returns values as [transfer.Rows] has them.
type tableRows struct {
	pgx.Rows
	columns []string
}

func (r tableRows) Columns() []string { return r.columns }

func (r tableRows) Err() error { return classified(r.Rows.Err()) }

func (r tableRows) Values() ([]any, error) {
	values, err := r.Rows.Values()
	for i := range values {
		values[i] = fromColumn(values[i])
	}
	return values, err
}

// toColumn returns a value of [transfer.Rows] as a column of a type takes it.
func toColumn(value any, columnType uint32) any {
	number, ok := value.(int64)
	switch {
	case ok && columnType == pgtype.TimestamptzOID:
		return time.UnixMicro(number)
	case ok && columnType == pgtype.BoolOID:
		return number != 0
	default:
		return value
	}
}

// fromColumn is the inverse of toColumn.
func fromColumn(value any) any {
	switch v := value.(type) {
	case time.Time:
		return v.UnixMicro()
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case []byte:
		if len(v) == 0 {
			return nil
		}
	}
	return value
}
