package postgres_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

// firstRelease is the version of the schema of the first release.
const firstRelease = 2

func TestMigrateWhatTheFirstReleaseStored(t *testing.T) {
	databaseURL := oldDatabase(t, firstRelease)
	withConnection(t, databaseURL, func(conn *pgx.Conn) error {
		for _, table := range storetest.OldTables(t) {
			if _, err := conn.CopyFrom(t.Context(), pgx.Identifier{table.Name}, table.Columns, pgx.CopyFromRows(table.Rows)); err != nil {
				return err
			}
			if key := table.Columns[0]; table.Name != "disputes" {
				if _, err := conn.Exec(t.Context(), "SELECT setval(pg_get_serial_sequence('"+table.Name+"', '"+key+"'), max("+key+")) FROM "+table.Name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err := open(t, databaseURL).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.CheckMigrated(t, engine{databaseURL})
}

// oldDatabase returns a database with the migrations up to a version.
func oldDatabase(t *testing.T, version int) (databaseURL string) {
	t.Helper()
	databaseURL = newDatabase(t)
	migrateTo(t, databaseURL, version)
	return databaseURL
}

// migrateTo applies the migrations up to a version, as an older release does.
func migrateTo(t *testing.T, databaseURL string, version int) {
	t.Helper()
	paths, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	files := make(fstest.MapFS)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if path < fmt.Sprintf("migrations/%05d", version+1) {
			files[path] = &fstest.MapFile{Data: data}
		}
	}
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*cfg)
	defer db.Close()
	schema, err := store.NewSchema(goose.DialectPostgres, db, files)
	if err == nil {
		err = schema.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// insertOldDispute writes a dispute with its event, as the first release does.
func insertOldDispute(t *testing.T, databaseURL, id, source string) {
	t.Helper()
	execute(t, databaseURL, `INSERT INTO orders (order_id, version, status, user_id, amount, currency, head_rank, head_event_id)
		VALUES ($1, 1, '', '', 0, '', 1, 'e')`, id)
	execute(t, databaseURL, `INSERT INTO disputes (dispute_id, order_id, status, user_id, reason, amount, currency, head_rank, head_event_id)
		VALUES ($1, $1, 'open', '', '', 0, '', 1, 'e')`, id)
	execute(t, databaseURL, `INSERT INTO events (provider, event_id, order_ref, order_id, dispute_id, user_id, status, provider_status, reason,
			amount, currency, occurred_at, verdict, dead_letter_reason, in_history, recorded_at, schema_version, digest)
		VALUES ($2, $1, 1, $1, $1, '', 'open', '', '', 0, '', now(), 'applied', '', true, now(), 1, '')`, id, source)
}

// The first release can write until the keys are swapped, and an interrupted migration can
// be repeated.
func TestTheFirstReleaseWritesMeanwhile(t *testing.T) {
	databaseURL := oldDatabase(t, firstRelease)
	insertOldDispute(t, databaseURL, "before", "a")
	for _, step := range []struct {
		version int
		then    func()
	}{
		{3, func() {
			insertOldDispute(t, databaseURL, "early", "b")
			execute(t, databaseURL, "CREATE INDEX events_by_key ON events (seq)") // as an interrupted migration leaves one
		}},
		{4, func() { insertOldDispute(t, databaseURL, "late", "c") }},
	} {
		migrateTo(t, databaseURL, step.version)
		step.then()
	}
	s := open(t, databaseURL)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, source := range map[string]string{"before": "a", "early": "b", "late": "c"} {
		if _, err := s.Dispute(t.Context(), payments.DisputeKey{Source: source, ID: id}); err != nil {
			t.Errorf("Dispute of %s: %v", source, err)
		}
	}
	var index string
	withConnection(t, databaseURL, func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), "SELECT pg_get_indexdef('events_by_key'::regclass)").Scan(&index)
	})
	if !strings.Contains(index, "UNIQUE INDEX") || !strings.Contains(index, "event_id, provider") {
		t.Errorf("after the migration the index is %s", index)
	}
}

// oldWrite is like a commit of the first release.
const oldWrite = `WITH written AS (
		INSERT INTO orders (order_id, version, status, user_id, amount, currency, head_rank, head_event_id)
		VALUES ($1, 1, 'created', '', 0, '', 1, 'e')
		ON CONFLICT (order_id) DO UPDATE SET version = excluded.version WHERE orders.version = excluded.version - 1
		RETURNING version
	)
	SELECT (count(*) = 1)::first_writer FROM written`

// After the migration the first release cannot write, even on an open connection. It
// must treat the error as temporary, and not dead-letter the update.
func TestTheFirstReleaseCannotWriteAfterwards(t *testing.T) {
	databaseURL := oldDatabase(t, firstRelease)
	withConnection(t, databaseURL, func(old *pgx.Conn) error {
		if _, err := old.Prepare(t.Context(), "write", oldWrite); err != nil {
			return err
		}
		for i := range 10 { // until the server keeps a plan
			if _, err := old.Exec(t.Context(), "write", fmt.Sprint("before", i)); err != nil {
				return err
			}
		}
		if err := open(t, databaseURL).Migrate(t.Context()); err != nil {
			return err
		}
		_, err := old.Exec(t.Context(), "write", "after")
		if failed, ok := err.(*pgconn.PgError); !ok || !strings.HasPrefix(failed.Code, "42") {
			t.Errorf("a write of the first release = %v, want an error of class 42", err)
		}
		return nil
	})
	withConnection(t, databaseURL, func(conn *pgx.Conn) error {
		var orders int
		err := conn.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&orders)
		if orders != 10 {
			t.Errorf("got %d orders, want the 10 from before the migration", orders)
		}
		return err
	})
}
