package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var errNotCancelled = errors.New("running statements are not cancelled")

// neverCancel keeps pgx from asking the server to cancel the running statement of a
// connection that it closes because ctx ended. If the server cancels the wait of a
// commit for a synchronous standby, it keeps the commit without the standby, and a
// later attempt would take it for confirmed. Left alone the commit goes on waiting,
// and so does every later attempt; other statements end by the server's own
// timeouts. The function counts the abandoned statements.
//
// pgx cancels over a new connection, and dials for nothing else once it has
// connected.
func neverCancel(abandoned *atomic.Int64) func(context.Context, *pgx.ConnConfig) error {
	return func(_ context.Context, cfg *pgx.ConnConfig) error {
		dial, connected := cfg.DialFunc, new(atomic.Bool)
		cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			if connected.Load() {
				abandoned.Add(1)
				return nil, errNotCancelled
			}
			return dial(ctx, network, address)
		}
		cfg.AfterConnect = func(context.Context, *pgconn.PgConn) error {
			connected.Store(true)
			return nil
		}
		return nil
	}
}

// countWaiting counts the commits that wait for a standby, in all processes. A user
// can see the sessions of the same user.
const countWaiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user AND wait_event = 'SyncRep'"

// checkAbandoned returns an error while as many commits wait in the server for a
// standby as the ledger has connections. Without that limit each attempt would take
// one more connection of the server for as long as the standby is down. It asks the
// server only once that many statements were abandoned.
func (s *Store) checkAbandoned(ctx context.Context) error {
	if s.abandoned.Load() < s.maxAbandoned {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var waiting int64
	if err := s.reader.QueryRow(ctx, countWaiting).Scan(&waiting); err != nil {
		return fmt.Errorf("count the commits that wait for a standby: %w", classified(err))
	}
	if waiting >= s.maxAbandoned {
		return fmt.Errorf("%d commits wait for a synchronous standby already", waiting)
	}
	s.abandoned.Store(waiting)
	return nil
}
