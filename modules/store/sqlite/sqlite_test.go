package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

func openMigrated(tb testing.TB) *sqlite.Store {
	tb.Helper()
	store := openAt(tb, filepath.Join(tb.TempDir(), "payrelay.db"))
	if err := store.Migrate(context.Background()); err != nil {
		tb.Fatal(err)
	}
	return store
}

// openAt opens the database in a file. It is closed when the test ends.
func openAt(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	store, err := sqlite.Open(context.Background(), "sqlite://"+path)
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

// raw returns a connection to the file that does not go through the store.
func raw(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func execRaw(tb testing.TB, db *sql.DB, statement string) {
	tb.Helper()
	if _, err := db.Exec(statement); err != nil {
		tb.Fatal(err)
	}
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error = %v, want one that contains %q", err, word)
		}
	}
}

func TestOpenRefusesOtherURLs(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, url := range []string{"", "sqlite://", "payrelay.db", "sqlite:payrelay.db", "postgres://host/db", "sqlite://payrelay.db?mode=memory"} {
		store, err := sqlite.Open(t.Context(), url)
		if err == nil {
			_ = store.Close()
		}
		shown, _, _ := strings.Cut(url, "?") // parameters can be secrets
		wantError(t, err, "sqlite:// followed by the path of a file, without parameters", shown)
	}
	if files, err := os.ReadDir("."); err != nil || len(files) != 0 {
		t.Errorf("after refusals the files are %v (%v), want none", files, err)
	}
}

func TestOpenNeedsADirectory(t *testing.T) {
	_, err := sqlite.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "missing", "payrelay.db"))
	wantError(t, err, "missing", "no such file or directory")
}

func TestPathsWithSpecialCharacters(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"relative.db", "with space #1 100%41.db", ":memory:", "ünïcode.db"} {
		store := openAt(t, path)
		if err := store.Migrate(t.Context()); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("Stat(%s) = %v, want the database", path, err)
		}
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payrelay.db")
	store := openAt(t, path)
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode().Perm())
		}
	}
}

func TestOpenRefusesOtherSettings(t *testing.T) {
	for _, otherPageSize := range []string{
		"PRAGMA page_size = 1024; CREATE TABLE foreign_table (id INTEGER)",
		"PRAGMA journal_mode = WAL; CREATE TABLE foreign_table (id INTEGER)",
	} {
		path := filepath.Join(t.TempDir(), "payrelay.db")
		execRaw(t, raw(t, path), otherPageSize)
		_, err := sqlite.Open(t.Context(), "sqlite://"+path)
		wantError(t, err, path, "page_size", "must be 8192")
	}
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payrelay.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), "sqlite://"+path)
	wantError(t, err, path, "file is not a database")
}

func TestMigrate(t *testing.T) {
	store := openAt(t, filepath.Join(t.TempDir(), "payrelay.db"))
	wantPending := func(pending bool) {
		t.Helper()
		list, err := store.Migrations(t.Context())
		if err != nil || len(list) == 0 {
			t.Fatalf("Migrations = %v, %v, want some", list, err)
		}
		if first := list[0]; first.Version != 1 || first.Name != "00001_ledger" || first.AppliedAt.IsZero() != pending {
			t.Errorf("the first migration is %+v, want pending = %v", first, pending)
		}
	}
	wantPending(true)
	_, err := store.Load(t.Context(), payments.Lookup{})
	wantError(t, err, "app migrate up")
	_, err = store.Order(t.Context(), "order-1")
	wantError(t, err, "app migrate up")
	for range 2 { // the second call has nothing to do
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantPending(false)
	}
	if _, err := store.Load(t.Context(), payments.Lookup{Subjects: payments.Subjects{Orders: []string{"order-1"}}}); err != nil {
		t.Errorf("load after the migration: %v", err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payrelay.db")
	if err := openAt(t, path).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	execRaw(t, raw(t, path), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, TRUE)")

	store := openAt(t, path)
	wantError(t, store.Migrate(t.Context()), "version 999", "newer release")
	_, err := store.Load(t.Context(), payments.Lookup{})
	wantError(t, err, "version 999")
	wantError(t, store.Commit(t.Context(), &payments.Changes{}), "version 999")
	_, err = store.Orders(t.Context(), payments.OrderQuery{Page: payments.PageRequest{Limit: 1}})
	wantError(t, err, "version 999")
	_, err = store.DeadLetter(t.Context(), 1)
	wantError(t, err, "version 999")
}

// An unknown name in a column is an error.
func TestUnknownNamesAreErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payrelay.db")
	store := openAt(t, path)
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	ledger, u := payments.NewLedger(store), new(storetest.Traffic).Next()
	storetest.Apply(t, ledger, []*payrelayv1.Update{u})
	u.Subject = &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN}}
	storetest.Apply(t, ledger, []*payrelayv1.Update{u})
	page := payments.PageRequest{Limit: 1}
	for _, test := range []struct {
		statement string
		read      func() error
	}{
		{"UPDATE orders SET status = 'from_the_future'", func() error {
			_, err := store.Orders(t.Context(), payments.OrderQuery{Page: page})
			return err
		}},
		{"UPDATE disputes SET stage = 'from_the_future'", func() error {
			_, err := store.Disputes(t.Context(), payments.DisputeQuery{Page: page})
			return err
		}},
		{"UPDATE events SET status = 'from_the_future'", func() error {
			_, err := store.Events(t.Context(), payments.EventQuery{Page: page})
			return err
		}},
	} {
		if err := test.read(); err != nil {
			t.Error(err)
		}
		execRaw(t, raw(t, path), test.statement)
		wantError(t, test.read(), "from_the_future")
	}
}

// Queries must not delay the ledger, nor wait for it.
func TestQueriesAndWritesDoNotWaitForEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payrelay.db")
	store := openAt(t, path)
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	writer, err := raw(t, path).Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Exec("DELETE FROM dead_letters"); err != nil { // takes the write lock
		t.Fatal(err)
	}
	if _, err := store.Order(t.Context(), "order-1"); !errors.Is(err, payments.ErrNotFound) {
		t.Errorf("Order during a write = %v, want ErrNotFound", err)
	}
	if err := writer.Rollback(); err != nil {
		t.Fatal(err)
	}

	reader, err := raw(t, path).Query("SELECT name FROM sqlite_schema")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if !reader.Next() { // its read transaction is open from here on
		t.Fatal(reader.Err())
	}
	storetest.Apply(t, payments.NewLedger(store), new(storetest.Traffic).Batch(1))
}

func TestWaitForTheWriterEndsWithTheContext(t *testing.T) {
	store := openMigrated(t)
	events := &storetest.Traffic{Rising: true}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		outcomes, err := payments.NewLedger(store).Apply(ctx, []*payrelayv1.Update{events.Next()})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("Apply = %v, %v, want context.Canceled", outcomes, err)
		}
	}
	storetest.Apply(t, payments.NewLedger(store), events.Batch(1)) // the connection still works
}

func TestVersion(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var version string
	if err := db.QueryRow("SELECT sqlite_version()").Scan(&version); err != nil || version != sqlite.Version {
		t.Errorf("sqlite_version() = %q, %v, want %q", version, err, sqlite.Version)
	}
}
