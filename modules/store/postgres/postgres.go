// Package postgres keeps the ledger in a PostgreSQL database. It is the store for
// more than one machine: any number of processes can share a database.
//
// A batch takes two round trips: one reads what it is judged against, and one writes
// everything as a single transaction. Nothing is locked in between. The write
// detects that another process was first, and aborts.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
)

// callTimeout bounds a call of the database, in case the server does not answer. The
// server's own timeouts for a statement are shorter.
const callTimeout = 15 * time.Second

// Store is a payments.Store on a database. It is safe for concurrent use.
type Store struct {
	store.Reader

	// ledger is for the statements of the ledger, and makes the server use the
	// indexes. reader is for the queries of the API and of operators, which must
	// not take connections from the ledger.
	ledger, reader *pgxpool.Pool
	migration      *pgx.ConnConfig
	probe          probe
	// pooled is whether a pooler may give each transaction another session.
	pooled      bool
	first       transactional
	schemaKnown atomic.Bool
	// abandoned counts the statements that were left running in the server.
	abandoned    atomic.Int64
	maxAbandoned int64
}

var _ payments.Store = (*Store)(nil)

// Open connects to the database of a URL, postgres://user:password@host/name, which
// can have the parameters of libpq and of pgxpool. It is an error if the server may
// lose what it has confirmed, also for each connection that is opened later.
// [Store.Migrate] creates the tables.
//
// No error contains the password.
func Open(ctx context.Context, databaseURL string) (*Store, error) {
	s := new(Store)
	ledger, reader, err := s.configure(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	s.maxAbandoned = int64(ledger.MaxConns)
	s.probe.cfg, s.probe.every = reader.ConnConfig.Copy(), probeEvery
	s.Reader = store.NewReader(dialect, func(ctx context.Context, text string, args []any, each func(store.Row) error) error {
		return s.query(ctx, s.reader, s.first.reader, text, args, each)
	})
	ledger.BeforeConnect = neverCancel(&s.abandoned)
	ledger.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if !s.pooled {
			if _, err := conn.Exec(ctx, keepOrderOfIndexes); err != nil {
				return err
			}
		}
		return s.checkNew(ctx, conn)
	}
	reader.AfterConnect = s.checkNew
	if s.ledger, err = pgxpool.NewWithConfig(ctx, ledger); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if s.reader, err = pgxpool.NewWithConfig(ctx, reader); err != nil {
		s.ledger.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := s.checkSession(ctx, s.ledger); err != nil {
		_ = s.Close() // never fails
		return nil, fmt.Errorf("open database: %w", err)
	}
	return s, nil
}

// configure returns the configurations of the pools, and sets that of migrations. Behind
// a pooler they are others.
func (s *Store) configure(ctx context.Context, databaseURL string) (ledger, reader *pgxpool.Config, err error) {
	for _, more := range []settings{nil, pooledSettings} {
		s.pooled = more != nil
		if ledger, err = parse(databaseURL, ledgerSettings.with(more)); err != nil {
			return nil, nil, err
		}
		if reader, err = parse(databaseURL, readerSettings.with(more)); err != nil {
			return nil, nil, err
		}
		migration, err := parse(databaseURL, migrationSettings.with(more))
		if err != nil {
			return nil, nil, err
		}
		s.migration = migration.ConnConfig
		if s.pooled {
			s.first = unpinAll(ledger, reader, migration)
			break
		}
		pooled, err := behindPooler(ctx, reader.ConnConfig)
		if err != nil {
			return nil, nil, fmt.Errorf("open database: %w", err)
		}
		if !pooled {
			break
		}
	}
	return ledger, reader, nil
}

// Close waits for running queries and commits, and closes the connections. A second
// call does nothing.
func (s *Store) Close() error {
	s.reader.Close()
	s.ledger.Close()
	return nil
}

// Ping returns an error unless the database answers and keeps what it confirms.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := s.checkDurability(ctx); err != nil {
		return fmt.Errorf("reach database: %w", err)
	}
	return nil
}

// Stats returns the connections of both pools and the size of the database. It knows the
// connections also while none is free to ask for the size.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	stats := store.Stats{WALBytes: -1}
	for _, pool := range []*pgxpool.Pool{s.ledger, s.reader} {
		now := pool.Stat()
		stats.InUse, stats.Idle, stats.Max = stats.InUse+int(now.AcquiredConns()), stats.Idle+int(now.IdleConns()), stats.Max+int(now.MaxConns())
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	row := s.reader.QueryRow(ctx, "SELECT pg_database_size(current_database())")
	if row.Scan(&stats.SizeBytes) != nil {
		stats.SizeBytes = -1 // a database that is away is found by Ping
	}
	return stats, nil
}

// leaveStandby closes all connections when the server has become read-only. They
// would outlive a failover, while a new connection goes to the server that can be
// written to.
func (s *Store) leaveStandby(err error) {
	var failed *pgconn.PgError
	if errors.As(err, &failed) && failed.Code == readOnly {
		s.ledger.Reset()
		s.reader.Reset()
	}
}

// Version returns the version of the server of a database, such as "17.2". The URL
// is one for [Open]. No error contains the password.
func Version(ctx context.Context, databaseURL string) (string, error) {
	cfg, err := parse(databaseURL, readerSettings)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	clear(cfg.ConnConfig.RuntimeParams) // a pooler may refuse them
	conn, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err != nil {
		return "", fmt.Errorf("read the version of the database: %w", classified(err))
	}
	defer func() { _ = conn.Close(ctx) }() // the version has been read
	return conn.PgConn().ParameterStatus("server_version"), nil
}
