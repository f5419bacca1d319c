package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/store/storetest"
	"github.com/payrelay/payrelay/modules/store/transfer"
)

func TestCopiesOfSQLite(t *testing.T) {
	serverURL(t)
	storetest.RunCopies(t, func(t *testing.T) storetest.Copier {
		databaseURL, _ := migrated(t)
		return copier{fileEngine{filepath.Join(t.TempDir(), "payrelay.db")}, engine{databaseURL}}
	})
}

type copier struct {
	source fileEngine
	target engine
}

func (c copier) Source(*testing.T) storetest.Engine { return c.source }
func (c copier) Target(*testing.T) storetest.Engine { return c.target }
func (c copier) Copy(t *testing.T) {
	if err := fill(t.Context(), openFile(t, c.source.path), open(t, c.target.databaseURL), nothing); err != nil {
		t.Error(err)
	}
}

// fileEngine is an SQLite database, by the path of its file.
type fileEngine struct{ path string }

func (e fileEngine) Open(t *testing.T) storetest.Store { return openFile(t, e.path) }

func openFile(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	source, err := sqlite.Open(tb.Context(), "sqlite://"+path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := source.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := source.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return source
}

func nothing(string, *transfer.Tally) {}

func fill(ctx context.Context, source *sqlite.Store, target *postgres.Store, progress transfer.Progress) error {
	_, err := transfer.Copy(ctx, source, target, progress, func() error { return nil })
	return err
}

// busySource returns a database with 2000 events of few orders.
func busySource(t *testing.T) *sqlite.Store {
	source := openFile(t, filepath.Join(t.TempDir(), "payrelay.db"))
	for i := range 10 {
		var numbers []int
		for j := range 200 {
			numbers = append(numbers, i*200+j)
		}
		applyBusy(t, source, numbers)
	}
	return source
}

// Wherever a copy breaks off, the target is empty as before, and the copy can be made
// again.
func TestCopiesThatBreakOff(t *testing.T) {
	source := busySource(t)
	for _, step := range []string{"copied", "compared"} {
		for table, row := range map[string]int64{"orders": 1, "events": 1000, "dead_letters": 1} {
			t.Run(step+" "+table, func(t *testing.T) {
				databaseURL, target := migrated(t)
				breakOff := func(ctx context.Context, how func()) {
					err := fill(ctx, source, target, func(was string, sofar *transfer.Tally) {
						if was == step && sofar.Table == table && sofar.Rows == row {
							how()
						}
					})
					if err == nil {
						t.Error("Copy succeeds, want an error")
					}
					wantEmpty(t, databaseURL)
				}
				breakOff(t.Context(), func() { cutOthers(t, databaseURL) })
				ctx, interrupt := context.WithCancel(t.Context())
				breakOff(ctx, interrupt)
				if err := fill(t.Context(), source, target, nothing); err != nil {
					t.Errorf("the same copy again: %v", err)
				}
			})
		}
	}
}

func cutOthers(t *testing.T, databaseURL string) {
	execute(t, databaseURL, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
}

func wantEmpty(t *testing.T, databaseURL string) {
	t.Helper()
	withConnection(t, databaseURL, func(conn *pgx.Conn) error {
		for _, table := range transfer.Tables {
			var rows int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&rows); err != nil {
				return err
			}
			if rows > 0 {
				t.Errorf("got %d rows in %s, want none", rows, table)
			}
		}
		return nil
	})
}

// The server is killed in the middle of a copy.
func TestCopyToAServerThatIsKilled(t *testing.T) {
	server := ownServer(t)
	target := open(t, server.URL())
	if err := target.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	source := busySource(t)
	err := fill(t.Context(), source, target, func(step string, sofar *transfer.Tally) {
		if step == "compared" && sofar.Table == "events" && sofar.Rows == 1000 {
			killWithSessions(t, server)
		}
	})
	if err == nil {
		t.Error("Copy succeeds, want an error")
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, server.URL())
	if err := fill(t.Context(), source, target, nothing); err != nil {
		t.Errorf("the same copy again: %v", err)
	}
}

// killWithSessions kills a server and waits for the end of the processes of its
// sessions, which can otherwise outlive it by a few statements.
func killWithSessions(t *testing.T, server *servers.Postgres) {
	t.Helper()
	var sessions []int
	withConnection(t, server.URL(), func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), "SELECT array_agg(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()").Scan(&sessions)
	})
	if err := server.Kill(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(patience); ; {
		alive := slices.ContainsFunc(sessions, func(pid int) bool {
			_, err := os.Stat(fmt.Sprint("/proc/", pid))
			return err == nil
		})
		if !alive {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sessions %v outlive the server", sessions)
		}
	}
}

// A row that arrives changed is detected.
func TestACopyThatDiffersIsRefused(t *testing.T) {
	source := busySource(t)
	for name, spoil := range map[string]string{
		"another value": "NEW.user_id := 'x'; RETURN NEW;",
		"another time":  "NEW.occurred_at := NEW.occurred_at + interval '1 microsecond'; RETURN NEW;",
		"another body":  `NEW.digest := NEW.digest || '\x00'; RETURN NEW;`,
		"a row less":    "RETURN NULL;",
	} {
		t.Run(name, func(t *testing.T) {
			databaseURL, target := migrated(t)
			execute(t, databaseURL, "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.seq = 7 THEN "+spoil+" END IF; RETURN NEW; END $$")
			execute(t, databaseURL, "CREATE TRIGGER spoil BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION spoil()")
			if err := fill(t.Context(), source, target, nothing); err == nil || !strings.Contains(err.Error(), "table events differs") {
				t.Errorf("Copy = %v, want the error that the events differ", err)
			}
			wantEmpty(t, databaseURL)
		})
	}
}

func TestCopiesThatAreRefused(t *testing.T) {
	source := busySource(t)
	databaseURL, target := migrated(t)
	refused := func(what string, words ...string) {
		t.Helper()
		err := fill(t.Context(), source, target, nothing)
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: Copy = %v, want an error that contains %q", what, err, word)
			}
		}
	}
	if err := target.Commit(t.Context(), &payments.Changes{DeadLetters: []*payments.DeadLetter{{Detail: "of the target", CreatedAt: storetest.TrafficStart}}}); err != nil {
		t.Fatal(err)
	}
	refused("a database in use", "table dead_letters has rows already", "app migrate up", "table orders differs")
	execute(t, databaseURL, "DELETE FROM dead_letters")
	execute(t, databaseURL, "ALTER TABLE events ADD COLUMN more text")
	refused("other columns", "table events", "does not have the columns")
	execute(t, databaseURL, "ALTER TABLE events DROP COLUMN more")

	target = open(t, withParameters(t, databaseURL, url.Values{"lock_timeout": {"50"}}))
	withConnection(t, databaseURL, func(writer *pgx.Conn) error {
		_, err := writer.Exec(t.Context(), "BEGIN; DELETE FROM events")
		refused("another writer", "keep others from writing", "lock timeout")
		return err
	})
	unstorable := &payments.DeadLetter{Detail: "a \x00 in a text", CreatedAt: storetest.TrafficStart}
	if err := source.Commit(t.Context(), &payments.Changes{DeadLetters: []*payments.DeadLetter{unstorable}}); err != nil {
		t.Fatal(err)
	}
	refused("text that PostgreSQL does not take", "table dead_letters", "line 201", "column detail")
	wantEmpty(t, databaseURL)

	databaseURL = newDatabase(t)
	target = open(t, databaseURL)
	refused("no tables", "app migrate up")
}

// After all migrations both engines have the same columns, except for the one with the
// bodies from before there was a table of bodies, and the one that a trigger sets.
func TestColumnsAreThoseOfSQLite(t *testing.T) {
	databaseURL, _ := migrated(t)
	snapshot, err := openFile(t, filepath.Join(t.TempDir(), "payrelay.db")).Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	for _, table := range transfer.Tables {
		rows, err := snapshot.Table(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		rows.Close()
		withConnection(t, databaseURL, func(conn *pgx.Conn) error {
			var columns string
			row := conn.QueryRow(t.Context(), "SELECT string_agg(column_name, ' ' ORDER BY column_name) FROM information_schema.columns WHERE table_name = $1 AND (table_name, column_name) NOT IN (('events', 'body'), ('dead_letters', 'search'))", table)
			err := row.Scan(&columns)
			if want := strings.Join(slices.Sorted(slices.Values(rows.Columns())), " "); columns != want {
				t.Errorf("%s has the columns\n%s, want\n%s", table, columns, want)
			}
			return err
		})
	}
}
