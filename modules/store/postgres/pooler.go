package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// A pooler such as PgBouncer in transaction mode gives each transaction another session
// of the server. So behind one, nothing that belongs to a session is relied on:
//
//   - A statement is described once for each connection, and not prepared.
//   - The settings are set for each transaction, by a statement at its beginning.
//   - The locks belong to transactions.

// pooledSettings are the settings of every connection to a pooler. An operator whose
// pooler knows prepared statements can override the first one.
var pooledSettings = settings{"default_query_exec_mode": "cache_describe"}

// passedOn are the parameters that a pooler keeps for each client. It refuses others.
var passedOn = []string{"application_name", "client_encoding", "datestyle", "timezone", "standard_conforming_strings", "options"}

// behindPooler reports whether a pooler is between this process and the server. A pooler
// refuses the parameters of a session, or drops them, and reports its own
// numbers to its clients as the process IDs of their sessions.
func behindPooler(ctx context.Context, cfg *pgx.ConnConfig) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	cfg = cfg.Copy()
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec // a pooler keeps no statement for it
	conn, err := pgx.ConnectConfig(ctx, cfg)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && strings.Contains(refused.Message, "startup parameter"):
		return true, nil
	case err != nil:
		return false, classified(err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing was written
	var process uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&process); err != nil {
		return false, classified(err)
	}
	return process != conn.PgConn().PID(), nil
}

// unpin removes the settings that a pooler does not pass on from a configuration, and
// returns a statement that sets them for one transaction. The statement fails if the
// server may lose what the transaction commits.
func unpin(cfg *pgx.ConnConfig, more settings) string {
	local := make(settings)
	maps.Copy(local, more)
	for name, value := range cfg.RuntimeParams {
		if slices.Contains(passedOn, name) {
			continue
		}
		delete(cfg.RuntimeParams, name)
		if name != "tcp_user_timeout" { // the pooler's connections have their own
			local[name] = value
		}
	}
	var set []string
	for _, name := range slices.Sorted(maps.Keys(local)) {
		set = append(set, fmt.Sprintf("set_config(%s, %s, true)", literal(name), literal(local[name])))
	}
	return "SELECT " + strings.Join(set, ", ") + ", " + guard
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// unsafeSetting is a setting that does not exist: reading it is an error that ends the
// transaction.
const unsafeSetting = "payrelay.unsafe"

// guard is an expression that fails unless all required settings are safe.
var guard = func() string {
	var conditions []string
	for _, r := range required {
		conditions = append(conditions, "current_setting('"+r.name+"') IN ('"+strings.Join(r.safe, "', '")+"')")
	}
	return "CASE WHEN " + strings.Join(conditions, " AND ") + " THEN '' ELSE current_setting('" + unsafeSetting + "') END"
}()

// explained replaces the error of the guard with one that names the setting.
func (s *Store) explained(ctx context.Context, err error) error {
	var failed *pgconn.PgError
	if s.pooled && errors.As(err, &failed) && strings.Contains(failed.Message, unsafeSetting) {
		return errors.Join(s.checkSession(ctx, s.reader), err)
	}
	return err
}

// queueFirst queues a statement before the others of a batch.
func queueFirst(batch *pgx.Batch, text string) {
	if text != "" {
		batch.QueuedQueries = slices.Insert(batch.QueuedQueries, 0, &pgx.QueuedQuery{SQL: text})
	}
}

// transactional are the statements that set the settings of a transaction, empty if
// sessions have them.
type transactional struct{ ledger, reader, migration string }

// unpinAll adapts the configurations to a pooler.
func unpinAll(ledger, reader, migration *pgxpool.Config) transactional {
	return transactional{
		ledger:    unpin(ledger.ConnConfig, settings{"enable_bitmapscan": "off", "enable_sort": "off"}),
		reader:    unpin(reader.ConnConfig, nil),
		migration: unpin(migration.ConnConfig, nil),
	}
}

// openDB returns a database whose transactions begin with a statement, if there is one.
func (s *Store) openDB(cfg *pgx.ConnConfig, first string) *sql.DB {
	connector := stdlib.GetConnector(*cfg, stdlib.OptionAfterConnect(s.checkNew))
	if first != "" {
		connector = beginner{connector, first}
	}
	return sql.OpenDB(connector)
}

// beginner opens connections whose transactions begin with a statement.
type beginner struct {
	driver.Connector
	first string
}

func (b beginner) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := b.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return beginning{conn.(*stdlib.Conn), b.first}, nil
}

type beginning struct {
	*stdlib.Conn
	first string
}

func (c beginning) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	if _, err := c.Conn.Conn().Exec(ctx, c.first); err != nil {
		_ = tx.Rollback() // the server does it otherwise
		return nil, err
	}
	return tx, nil
}
