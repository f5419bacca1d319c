package postgres_test

import (
	"context"
	"maps"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/modules/store/postgres"
)

// serverURL returns the URL of a server on which the tests may create databases.
func serverURL(tb testing.TB) string {
	tb.Helper()
	return servers.Need(tb, servers.PostgresVariable)[0]
}

// newDatabase returns the URL of an empty database that is dropped when the test ends.
func newDatabase(tb testing.TB) string {
	tb.Helper()
	databaseURL, drop, err := servers.CreateDatabase(tb.Context(), serverURL(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := drop(); err != nil {
			tb.Error(err)
		}
	})
	return databaseURL
}

// ownServer starts a server that the test may kill.
func ownServer(tb testing.TB) *servers.Postgres {
	tb.Helper()
	serverURL(tb)
	server, err := servers.StartPostgres(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := server.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return server
}

func withParameters(tb testing.TB, databaseURL string, more url.Values) string {
	tb.Helper()
	u := parseURL(tb, databaseURL)
	all := u.Query()
	maps.Copy(all, more)
	u.RawQuery = all.Encode()
	return u.String()
}

func parseURL(tb testing.TB, databaseURL string) *url.URL {
	tb.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		tb.Fatal(servers.PostgresVariable + " is not a URL")
	}
	return u
}

// execute runs one statement on its own connection.
func execute(tb testing.TB, databaseURL, statement string, args ...any) {
	tb.Helper()
	withConnection(tb, databaseURL, func(conn *pgx.Conn) error {
		_, err := conn.Exec(context.Background(), statement, args...)
		return err
	})
}

func withConnection(tb testing.TB, databaseURL string, use func(*pgx.Conn) error) {
	tb.Helper()
	conn, err := pgx.Connect(context.Background(), databaseURL)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := use(conn); err != nil {
		tb.Fatal(err)
	}
}

// open opens a store, which is closed when the test ends, if not before.
func open(tb testing.TB, databaseURL string) *postgres.Store {
	tb.Helper()
	store, err := postgres.Open(tb.Context(), databaseURL)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	})
	return store
}

// migrated returns a new database with its tables.
func migrated(tb testing.TB) (databaseURL string, store *postgres.Store) {
	tb.Helper()
	databaseURL = newDatabase(tb)
	store = open(tb, databaseURL)
	if err := store.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return databaseURL, store
}
