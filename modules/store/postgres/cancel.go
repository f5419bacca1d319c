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

var errNotCancelled = errors.New("what is under way is not cancelled")

// neverCancel keeps pgx from asking the server to cancel what was under way on a
// connection that it closes, when ctx ends or nobody answers. A commit that waits
// for a synchronous standby would be kept without one, and a later attempt would
// take it for confirmed. Left alone it waits on, and every later attempt for it;
// whatever else was under way ends by the server's own time limits. left counts
// what was left so.
//
// pgx dials the server again to cancel, and only for that once it is connected.
func neverCancel(left *atomic.Int64) func(context.Context, *pgx.ConnConfig) error {
	return func(_ context.Context, cfg *pgx.ConnConfig) error {
		dial, connected := cfg.DialFunc, new(atomic.Bool)
		cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			if connected.Load() {
				left.Add(1)
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

// A session of the server is its own user's to see.
const countWaiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user AND wait_event = 'SyncRep'"

// checkLeft keeps the commits that wait in the server for a standby to as many as
// there are connections, or each attempt at one would take a connection of the
// server for as long as the standby is away. The server is asked only when so many
// were left, and counts those of all processes.
func (s *Store) checkLeft(ctx context.Context) error {
	if s.left.Load() < s.mostLeft {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var waiting int64
	if err := s.reader.QueryRow(ctx, countWaiting).Scan(&waiting); err != nil {
		return fmt.Errorf("count what waits for a standby: %w", classified(err))
	}
	if waiting >= s.mostLeft {
		return fmt.Errorf("%d commits wait for a synchronous standby already", waiting)
	}
	s.left.Store(waiting)
	return nil
}
