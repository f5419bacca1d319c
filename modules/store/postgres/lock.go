package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// txLock is an advisory lock that belongs to a transaction on a connection of its own,
// so that it works behind a pooler. The transaction does nothing else, and holds no
// snapshot that a vacuum or the build of an index would wait for.
type txLock struct{ conn *pgx.Conn }

// errLocked means that another process has the lock.
var errLocked = errors.New("another process has the lock")

// tryLock takes the lock of a key, or returns errLocked immediately.
func (s *Store) tryLock(ctx context.Context, key int64) (*txLock, error) {
	cfg := s.migration.Copy()
	// In the extended protocol the server would keep the statement's snapshot.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	lock := &txLock{conn}
	locked := false
	if _, err = conn.Exec(ctx, "BEGIN"); err == nil {
		row := conn.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1) FROM set_config('idle_in_transaction_session_timeout', '0', true)", key)
		err = row.Scan(&locked)
	}
	if err == nil && !locked {
		err = errLocked
	}
	if err != nil {
		lock.release(ctx)
		return nil, err
	}
	return lock, nil
}

// check returns an error if the lock has been lost with its connection.
func (l *txLock) check(ctx context.Context) error {
	if _, err := l.conn.Exec(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("the lock was lost: %w", err)
	}
	return nil
}

// release ends the transaction. An error does not matter: the server ends it when the
// client is gone.
func (l *txLock) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	_, _ = l.conn.Exec(ctx, "ROLLBACK")
	_ = l.conn.Close(ctx)
}

// A process that does not migrate tries to get the lock every second. If its session
// waited for the lock instead, it would delay a migration that builds an index
// without blocking writers.
const (
	lockPeriod = time.Second
	lockTries  = 600 // ten minutes
)

// migrationLock is the lock of migrations. Its key is that of the releases before, which
// locked by a session, so that processes of both do not migrate at the same time.
type migrationLock struct {
	store *Store
	key   int64
	held  *txLock
}

// SessionLock waits for the lock.
func (l *migrationLock) SessionLock(ctx context.Context, _ *sql.Conn) (err error) {
	for range lockTries {
		if l.held, err = l.store.tryLock(ctx, l.key); !errors.Is(err, errLocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPeriod):
		}
	}
	return fmt.Errorf("wait for the migration of another process: %w", err)
}

// SessionUnlock releases the lock.
func (l *migrationLock) SessionUnlock(ctx context.Context, _ *sql.Conn) error {
	l.held.release(ctx)
	return nil
}
