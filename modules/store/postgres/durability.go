package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/payments"
)

// required are settings with the values that are safe, and what an operator can do about
// another value. An administrator can change each of them while this process runs.
var required = []struct {
	name, remedy string
	safe         []string
}{
	{"synchronous_commit", "set it to on for the role, the database and the server, or connect without a pooler that drops settings",
		[]string{"on", "local", "remote_write", "remote_apply"}},
	{"fsync", "switch it on in postgresql.conf", []string{"on"}},
	{"full_page_writes", "switch it on in postgresql.conf", []string{"on"}},
	{"server_encoding", "create the database with ENCODING 'UTF8'", []string{"UTF8"}},
}

// errUnsafe means that the server may lose what it has confirmed.
var errUnsafe = errors.New("a payment can be lost")

// selectRequired selects the values of the required settings in the session.
var selectRequired = func() string {
	var values []string
	for _, r := range required {
		values = append(values, "current_setting('"+r.name+"')")
	}
	return "SELECT ARRAY[" + strings.Join(values, ", ") + "]"
}()

// selectPooled is selectRequired in a transaction that sets synchronous_commit, as all
// do behind a pooler.
var selectPooled = strings.Replace(selectRequired, "current_setting('synchronous_commit')", "set_config('synchronous_commit', 'on', true)", 1)

// checkSession reads the required settings of a session back, because a server or a
// pooler can ignore those of the URL. It is called for each new connection that writes.
func (s *Store) checkSession(ctx context.Context, session interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	query := selectRequired
	if s.pooled {
		query = selectPooled
	}
	var values []string
	switch err := session.QueryRow(ctx, query).Scan(&values); {
	case errors.Is(err, errUnsafe): // a pool opened a connection for it
		return err
	case err != nil:
		return fmt.Errorf("read the settings of the server: %w", classified(err))
	}
	return checkSettings(values)
}

// checkNew is checkSession for a new connection. It closes one that it refuses, which
// database/sql would leave open.
func (s *Store) checkNew(ctx context.Context, conn *pgx.Conn) error {
	err := s.checkSession(ctx, conn)
	if err != nil {
		_ = conn.Close(ctx) // nothing was written
	}
	return err
}

// checkSettings checks the values of the required settings.
func checkSettings(values []string) error {
	for i, r := range required {
		if !slices.Contains(r.safe, values[i]) {
			return fmt.Errorf("%w: %w: the server's setting %s is %q: %s", payments.ErrMisconfigured, errUnsafe, r.name, values[i], r.remedy)
		}
	}
	return nil
}

// A default of the role or the database is only seen by new connections. Ping opens one
// every probeEvery, and closes it. It waits for it no longer than probeTimeout, because a
// host of several that does not answer makes each new connection slow.
const (
	probeEvery   = 10 * time.Second
	probeTimeout = 400 * time.Millisecond
)

// probe checks the settings of new connections.
type probe struct {
	cfg   *pgx.ConnConfig
	every time.Duration

	mu   sync.Mutex
	last time.Time
	err  error // the result of the last check
}

// check returns an error if a new connection has an unsafe setting. It is none if there
// is no new connection: the open ones may still work.
func (p *probe) check(ctx context.Context, s *Store) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.last) < p.every {
		return p.err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, p.cfg)
	if err == nil {
		err = s.checkSession(ctx, conn)
		_ = conn.Close(ctx) // the settings have been read
	}
	if p.last, p.err = time.Now(), nil; errors.Is(err, errUnsafe) {
		p.err = err
	}
	return p.err
}

// checkDurability returns an error if the server may lose what it confirms to an open or
// a new connection. Then it closes all connections: the next ones are refused until the
// settings are safe.
func (s *Store) checkDurability(ctx context.Context) error {
	err := s.checkSession(ctx, s.reader)
	if err == nil {
		err = s.probe.check(ctx, s)
	}
	if errors.Is(err, errUnsafe) {
		s.ledger.Reset()
		s.reader.Reset()
	}
	return err
}
