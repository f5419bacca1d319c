package postgres_test

import (
	"context"
	"crypto/rand"
	"maps"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/store/postgres"
)

// serverURL is that of a server on which the tests may create databases. Without
// one they are skipped, but not where the lane of production is to be proven.
func serverURL(tb testing.TB) string {
	tb.Helper()
	server := os.Getenv("PAYRELAY_TEST_POSTGRES")
	switch {
	case server != "":
		return server
	case strings.Contains(os.Getenv("PAYRELAY_TEST_LANES"), "production"):
		tb.Fatal("PAYRELAY_TEST_LANES asks for production: set PAYRELAY_TEST_POSTGRES to the URL of a server on which databases may be created")
	default:
		tb.Skip("set PAYRELAY_TEST_POSTGRES to the URL of a PostgreSQL server on which databases may be created, to run this test")
	}
	return ""
}

// newDatabase is the URL of an empty database that is dropped when the test ends.
func newDatabase(tb testing.TB) string {
	tb.Helper()
	server := serverURL(tb)
	name := "payrelay_test_" + strings.ToLower(rand.Text())
	execute(tb, server, "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0")
	tb.Cleanup(func() { execute(tb, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u := parseURL(tb, server)
	u.Path = "/" + name
	return u.String()
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
		tb.Fatal("PAYRELAY_TEST_POSTGRES is not a URL")
	}
	return u
}

// execute runs one statement on a connection of its own.
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

// open is a handle, closed at the latest when the test ends.
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

// migrated is a new database with its tables.
func migrated(tb testing.TB) (databaseURL string, store *postgres.Store) {
	tb.Helper()
	databaseURL = newDatabase(tb)
	store = open(tb, databaseURL)
	if err := store.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return databaseURL, store
}
