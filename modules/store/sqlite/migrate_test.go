package sqlite_test

import (
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/store/storetest"
	"github.com/pressly/goose/v3"
)

// firstRelease returns the path of a database as the first release left it.
func firstRelease(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "payrelay.db")
	_ = openAt(t, path) // with the settings of the file
	db := raw(t, path)
	schema, err := store.NewSchema(goose.DialectSQLite3, db, firstMigration(t))
	if err == nil {
		err = schema.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range storetest.OldTables(t) {
		for _, row := range table.Rows {
			for i, value := range row {
				if at, isTime := value.(time.Time); isTime {
					row[i] = at.UnixMicro()
				}
			}
			statement := "INSERT INTO " + table.Name + " (" + strings.Join(table.Columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(row)-1) + ")"
			if _, err := db.Exec(statement, row...); err != nil {
				t.Fatal(err)
			}
		}
	}
	return path
}

// firstMigration returns the migrations of the first release.
func firstMigration(t *testing.T) fs.FS {
	t.Helper()
	folder := t.TempDir()
	data, err := os.ReadFile("migrations/00001_ledger.sql")
	if err == nil {
		err = os.Mkdir(filepath.Join(folder, "migrations"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "migrations", "00001_ledger.sql"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.DirFS(folder)
}

func TestMigrateWhatTheFirstReleaseStored(t *testing.T) {
	storetest.CheckMigrated(t, engine{path: firstRelease(t)})
}

// Old dead letters are read in pages.
func TestMigrateManyDeadLetters(t *testing.T) {
	path := firstRelease(t)
	db := raw(t, path)
	execRaw(t, db, `WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 1700)
		INSERT INTO dead_letters (provider, event_id, digest, reason, detail, order_id, dispute_id, payload, created_at, resolution)
		SELECT provider, 'many/' || n, digest, reason, detail, order_id, dispute_id, payload, created_at, resolution
		FROM counter, dead_letters WHERE event_id = 'failed/2'`)
	if err := openAt(t, path).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var migrated, digests int
	row := db.QueryRow("SELECT count(*), count(DISTINCT digest) FROM dead_letters WHERE event_id LIKE 'many/%' AND kind = 'order'")
	if err := row.Scan(&migrated, &digests); err != nil || migrated != 1700 || digests != 1 {
		t.Errorf("%d dead letters (%v) have a kind and %d digests, want 1700 with 1", migrated, err, digests)
	}
}

// A process of the previous release may write dead letters until it is stopped.
func TestDeadLettersOfTheLastRelease(t *testing.T) {
	path := firstRelease(t)
	s := openAt(t, path)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := payments.DeadLetterQuery{Settled: true, Limit: payments.MaxPageSize, WithPayload: true}
	want, err := s.DeadLetters(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	execRaw(t, raw(t, path), "UPDATE dead_letters SET kind = ''")
	got, err := s.DeadLetters(t.Context(), all)
	if err != nil || len(got) != len(want) {
		t.Fatalf("got %d dead letters, %v, want %d", len(got), err, len(want))
	}
	for i := range want {
		if want[i].OrderID != "" && got[i].Key != want[i].Key {
			t.Errorf("got a dead letter with the key %v, want %v", got[i].Key, want[i].Key)
		}
	}
}

// A failed migration changes nothing and can be repeated.
func TestMigrationThatFails(t *testing.T) {
	path := firstRelease(t)
	db := raw(t, path)
	s := openAt(t, path)
	for _, obstacle := range []string{
		"CREATE TABLE new_disputes (id INTEGER)", "CREATE TABLE new_events (id INTEGER)",
	} {
		execRaw(t, db, obstacle)
		wantError(t, s.Migrate(t.Context()), "already exists")
		execRaw(t, db, "DROP TABLE "+strings.Fields(obstacle)[2])
		wantVersion(t, s, db, 1)
	}
	execRaw(t, db, `CREATE TRIGGER obstacle BEFORE UPDATE OF digest ON dead_letters
		WHEN OLD.event_id = 'conflict3' BEGIN SELECT RAISE(ABORT, 'obstacle'); END`)
	wantError(t, s.Migrate(t.Context()), "obstacle")
	wantVersion(t, s, db, 3)
	execRaw(t, db, "DROP TRIGGER obstacle")
	storetest.CheckMigrated(t, engine{path: path})
}

// wantVersion checks the version of the schema.
func wantVersion(t *testing.T, s *sqlite.Store, db *sql.DB, want int64) {
	t.Helper()
	var got int64
	if err := db.QueryRow("SELECT max(version_id) FROM goose_db_version").Scan(&got); err != nil || got != want {
		t.Errorf("the schema has version %d (%v), want %d", got, err, want)
	}
	list, err := s.Migrations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.AppliedAt.IsZero() != (m.Version > want) {
			t.Errorf("migration %+v, want those up to %d applied", m, want)
		}
	}
}
