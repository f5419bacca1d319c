// Package postgres keeps the ledger in a PostgreSQL database: the store for more
// than one machine, with as many processes on it as there need be.
//
// A batch costs two round trips: one to read what it is judged against, and one
// that writes all of it as a single transaction. Nothing is locked in between;
// the write finds out when another process was first, and aborts.
package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/payrelay/payrelay/modules/payments"
)

// callTimeout bounds a call of the database from this end, in case nobody is at
// the other. The server's own bounds for a statement are shorter.
const callTimeout = 15 * time.Second

// Store is a payments.Store, and what the api role and the operators' commands
// read. It is safe for concurrent use.
type Store struct {
	// ledger is for the few statements of the ledger, and sees to it that they
	// go by the indexes; reader is for what people ask, which must not keep
	// connections from the ledger.
	ledger, reader *pgxpool.Pool
	migration      *pgx.ConnConfig
	schemaKnown    atomic.Bool
	// left counts what was left under way in the server, and mostLeft bounds it.
	left     atomic.Int64
	mostLeft int64
}

var _ payments.Store = (*Store)(nil)

// Open connects to the database of a URL, postgres://user:password@host/name,
// which may carry the parameters of libpq and of pgxpool. It refuses a server
// that may lose what it has confirmed. The tables are [Store.Migrate]'s.
//
// No error tells the password.
func Open(ctx context.Context, databaseURL string) (*Store, error) {
	ledger, err := parse(databaseURL, ledgerSettings)
	if err != nil {
		return nil, err
	}
	reader, err := parse(databaseURL, readerSettings)
	if err != nil {
		return nil, err
	}
	migration, err := parse(databaseURL, migrationSettings)
	if err != nil {
		return nil, err
	}
	s := &Store{migration: migration.ConnConfig, mostLeft: int64(ledger.MaxConns)}
	ledger.BeforeConnect = neverCancel(&s.left)
	if s.ledger, err = pgxpool.NewWithConfig(ctx, ledger); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if s.reader, err = pgxpool.NewWithConfig(ctx, reader); err != nil {
		s.ledger.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := s.checkServer(ctx); err != nil {
		s.closePools()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return s, nil
}

// Close waits for what is under way and closes the connections. To close again
// is no error.
func (s *Store) Close() error {
	s.closePools()
	return nil
}

func (s *Store) closePools() {
	s.reader.Close()
	s.ledger.Close()
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := s.reader.Ping(ctx); err != nil {
		return fmt.Errorf("reach database: %w", classified(err))
	}
	return nil
}
