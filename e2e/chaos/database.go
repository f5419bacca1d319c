package chaos

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver of PostgreSQL
	_ "modernc.org/sqlite"             // the driver of SQLite

	"github.com/payrelay/payrelay/e2e/servers"
)

// openDatabase makes a place for the cell's data.
func (c *cluster) openDatabase() error {
	if c.Store == SQLite {
		c.databaseURL = "sqlite://" + filepath.Join(c.data(), "payrelay.db")
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	url, drop, err := servers.CreateDatabase(ctx, c.Postgres.URL())
	if err != nil {
		return err
	}
	c.databaseURL = url
	c.closers = append(c.closers, func() { _ = drop() }) // one that stays goes with its server
	return nil
}

// linkDatabase is the database as one process sees it: by a link.
func (c *cluster) linkDatabase(from string) (string, error) {
	u, err := url.Parse(c.databaseURL)
	if err != nil {
		return "", fmt.Errorf("link the database: %w", err)
	}
	l := newLink(from, "postgres")
	c.links = append(c.links, l)
	if u.Host, err = l.add(u.Host); err != nil {
		return "", err
	}
	return u.String(), nil
}

// open opens the database itself, not through the program and not by a link.
func (c *cluster) open() (*sql.DB, error) {
	if c.Store == Postgres {
		return sql.Open("pgx", c.databaseURL)
	}
	return sql.Open("sqlite", "file:"+strings.TrimPrefix(c.databaseURL, "sqlite://")+"?_pragma=busy_timeout(5000)&_txlock=immediate")
}

// query reads all rows of a query, each by scan.
func query(ctx context.Context, db *sql.DB, text string, scan func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// read is the final state.
func (c *cluster) read() (*State, error) {
	db, err := c.open()
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	s, t := new(State), timesOf(c.Store)
	for _, read := range []func(context.Context, *sql.DB, times) error{s.readEvents, s.readOrders, s.readDisputes, s.readLetters} {
		if err := read(ctx, db, t); err != nil {
			return nil, errors.Join(fmt.Errorf("read the database: %w", err), db.Close())
		}
	}
	return s, db.Close()
}

// times writes a column of times as microseconds, 0 for none.
type times func(column string) string

func timesOf(store string) times {
	if store == Postgres {
		return func(column string) string {
			return "coalesce((extract(epoch FROM " + column + ") * 1000000)::bigint, 0)"
		}
	}
	return func(column string) string { return "coalesce(" + column + ", 0)" }
}

func (s *State) readEvents(ctx context.Context, db *sql.DB, t times) error {
	return query(ctx, db, `SELECT provider, event_id, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency, `+
		t("occurred_at")+`, `+t("order_created_at")+`, `+t("evidence_due_at")+`, verdict, dead_letter_reason, in_history, digest, body FROM events`,
		func(rows *sql.Rows) error {
			var e Event
			var digest, body []byte
			f := &e.Says
			err := rows.Scan(&e.Provider, &e.Event, &f.Order, &f.Dispute, &f.User, &f.Status, &f.ProviderStatus, &f.Reason, &f.Amount, &f.Currency,
				&f.At, &f.CreatedAt, &f.EvidenceDueAt, &e.Verdict, &e.Reason, &e.InHistory, &digest, &body)
			e.Digest, e.Stored = hex.EncodeToString(digest), digestOf(body)
			s.Events = append(s.Events, e)
			return err
		})
}

func (s *State) readOrders(ctx context.Context, db *sql.DB, t times) error {
	return query(ctx, db, `SELECT order_id, version, status, user_id, amount, currency, `+t("created_at")+`, `+t("updated_at")+` FROM orders`,
		func(rows *sql.Rows) error {
			var o StoredOrder
			err := rows.Scan(&o.ID, &o.Version, &o.Status, &o.User, &o.Amount, &o.Currency, &o.CreatedAt, &o.UpdatedAt)
			s.Orders = append(s.Orders, o)
			return err
		})
}

func (s *State) readDisputes(ctx context.Context, db *sql.DB, t times) error {
	return query(ctx, db, `SELECT dispute_id, order_id, status, user_id, reason, amount, currency, `+
		t("opened_at")+`, `+t("updated_at")+`, `+t("evidence_due_at")+` FROM disputes`,
		func(rows *sql.Rows) error {
			var d Dispute
			err := rows.Scan(&d.ID, &d.Order, &d.Status, &d.User, &d.Reason, &d.Amount, &d.Currency, &d.OpenedAt, &d.UpdatedAt, &d.EvidenceDueAt)
			s.Disputes = append(s.Disputes, d)
			return err
		})
}

func (s *State) readLetters(ctx context.Context, db *sql.DB, _ times) error {
	return query(ctx, db, `SELECT provider, event_id, digest, reason, resolution FROM dead_letters`,
		func(rows *sql.Rows) error {
			var l DeadLetter
			var digest []byte
			err := rows.Scan(&l.Provider, &l.Event, &digest, &l.Reason, &l.Resolution)
			l.Digest = hex.EncodeToString(digest)
			s.Letters = append(s.Letters, l)
			return err
		})
}

// lockDatabase keeps everybody else from writing to a file.
func (c *cluster) lockDatabase() (unlock func() error, err error) {
	db, err := c.open()
	if err != nil {
		return nil, fmt.Errorf("lock the database: %w", err)
	}
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the database: %w", err), db.Close())
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }, nil
}
