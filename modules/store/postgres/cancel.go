package postgres

import (
	"context"
	"errors"
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
// whatever else was under way ends by the server's own time limits.
//
// pgx dials the server again to cancel, and only for that once it is connected.
func neverCancel(_ context.Context, cfg *pgx.ConnConfig) error {
	dial, connected := cfg.DialFunc, new(atomic.Bool)
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if connected.Load() {
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
