package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/retention"
)

// maintenance is the key of the advisory lock of a session.
const maintenance = 7_020_311_868_493_715_561

// Maintain begins a session for the maintenance of the database, on a connection of its
// own. A lock on another one keeps other processes from having one at the same time.
func (s *Store) Maintain(ctx context.Context) (retention.Session, error) {
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	lock, err := s.tryLock(ctx, maintenance)
	switch {
	case errors.Is(err, errLocked):
		return nil, retention.ErrBusy
	case err != nil:
		return nil, fmt.Errorf("maintain the database: %w", classified(err))
	}
	cfg := s.migration.Copy()
	cfg.RuntimeParams["lock_timeout"] = "2000"
	cfg.RuntimeParams["statement_timeout"] = "120000" // counting the bodies of a day can take long
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec  // few statements are run again
	first := ""
	if s.pooled {
		first = unpin(cfg, settings{"synchronous_commit": "on"})
	}
	db := s.openDB(cfg, first)
	conn, err := db.Conn(ctx)
	if err != nil {
		lock.release(ctx)
		return nil, errors.Join(fmt.Errorf("maintain the database: %w", classified(err)), db.Close())
	}
	return session{db, conn, lock}, nil
}

// session is a retention.Session.
type session struct {
	db   *sql.DB
	conn *sql.Conn
	lock *txLock
}

func (s session) Dialect() store.Dialect { return dialect }

func (s session) Read() store.Connection { return s.conn }

func (s session) HasOldBodies() bool { return true }

// Scrub does nothing: no page is read by others than the server, which reuses the space
// of deleted rows after a VACUUM.
func (s session) Scrub(context.Context) error { return nil }

// Close ends the connection, and then the lock.
func (s session) Close() error {
	err := errors.Join(s.conn.Close(), s.db.Close())
	s.lock.release(context.Background())
	return err
}

func (s session) Transact(ctx context.Context, do func(store.Connection) error) error {
	if err := s.lock.check(ctx); err != nil {
		return fmt.Errorf("begin: %w", classified(err))
	}
	tx, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", classified(err))
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // the server does it otherwise
		return classified(err)
	}
	return classified(tx.Commit())
}

// A change to the partitions waits for running commits, and later commits queue behind
// it. So it gives up soon, lets them pass, and tries again.
const (
	partitionTimeout = 100 * time.Millisecond
	partitionTries   = 20
	partitionPause   = 250 * time.Millisecond
)

// changePartitions runs statements that lock the table of the bodies.
func (s session) changePartitions(ctx context.Context, statements ...string) error {
	var err error
	for range partitionTries {
		err = s.Transact(ctx, func(tx store.Connection) error {
			if _, err := tx.ExecContext(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", partitionTimeout.Milliseconds())); err != nil {
				return err
			}
			for _, statement := range statements {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		})
		if !hasCode(err, lockNotAvailable) && !hasCode(err, deadlockDetected) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(partitionPause):
		}
	}
	return err
}

func hasCode(err error, code string) bool {
	var failed *pgconn.PgError
	return errors.As(err, &failed) && failed.Code == code
}

// MakeDays makes the partitions of some days. A day for which bodies_other has bodies
// already, because its partition was not made in time, stays without.
func (s session) MakeDays(ctx context.Context, from time.Time, days int) error {
	known, err := s.partitions(ctx)
	if err != nil {
		return err
	}
	taken := make(retention.Bodies)
	if err := s.count(ctx, "bodies_other", retention.Day(from).AddDate(0, 0, days), taken); err != nil {
		return err
	}
	var statements []string
	for i := range days {
		begin := retention.Day(from).AddDate(0, 0, i)
		name := begin.Format("bodies_20060102")
		if _, late := taken[begin]; late || known.has(name) {
			continue
		}
		// To attach a table locks less than to create it as a partition.
		statements = append(statements, "CREATE TABLE "+name+" (LIKE bodies INCLUDING DEFAULTS)",
			fmt.Sprintf("ALTER TABLE bodies ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')", name, bound(begin), bound(begin.AddDate(0, 0, 1))))
	}
	if len(statements) == 0 {
		return nil
	}
	if err := s.changePartitions(ctx, statements...); err != nil {
		return fmt.Errorf("make the partitions of %d days: %w", days, err)
	}
	return nil
}

func bound(t time.Time) string { return t.Format("2006-01-02 15:04:05Z07") }

// partition is a table with the bodies of a time.
type partition struct {
	name string
	// until is the end of the time, zero for that with the bodies of other times.
	until time.Time
}

type partitions []partition

func (all partitions) has(name string) bool {
	for _, p := range all {
		if p.name == name {
			return true
		}
	}
	return false
}

// partitions returns the partitions, the oldest first.
func (s session) partitions(ctx context.Context) (all partitions, err error) {
	rows, err := s.conn.QueryContext(ctx, `SELECT relname, substring(pg_get_expr(relpartbound, oid) FROM ' TO \(''(.*)''\)')::timestamptz AS until
		FROM pg_class WHERE oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'bodies'::regclass) ORDER BY until NULLS LAST`)
	if err != nil {
		return nil, fmt.Errorf("list the partitions: %w", classified(err))
	}
	err = store.EachRow(rows, func(row store.Row) error {
		var p partition
		err := row.Scan(&p.name, store.IntoTime(&p.until))
		all = append(all, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the partitions: %w", classified(err))
	}
	return all, nil
}
