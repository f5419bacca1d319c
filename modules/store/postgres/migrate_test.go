package postgres_test

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/postgres"
)

func TestManyProcessesMigrateAtOnce(t *testing.T) {
	databaseURL := newDatabase(t)
	stores := make([]*postgres.Store, 8)
	for i := range stores {
		stores[i] = open(t, databaseURL)
	}
	var migrating sync.WaitGroup
	for _, store := range stores {
		migrating.Go(func() {
			if err := store.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := store.Load(t.Context(), ofOrder("o1")); err != nil {
				t.Errorf("after the migration: %v", err)
			}
		})
	}
	migrating.Wait()
}

// A migration that meets a lock, such as that of VACUUM, lets later transactions pass,
// and tries again.
func TestMigrationsWaitForOthers(t *testing.T) {
	databaseURL := oldDatabase(t, 1)
	store := open(t, withParameters(t, databaseURL, url.Values{"lock_timeout": {"200"}}))
	done := make(chan error, 1)
	withConnection(t, databaseURL, func(reader *pgx.Conn) error {
		if _, err := reader.Exec(t.Context(), "BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE"); err != nil {
			return err
		}
		go func() { done <- store.Migrate(t.Context()) }()
		for _, want := range []bool{true, false} {
			deadline := time.Now().Add(patience)
			for waits := !want; waits != want; {
				row := reader.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted)")
				if err := row.Scan(&waits); err != nil {
					return err
				}
				if time.Now().After(deadline) {
					t.Fatalf("a migration waits: %v, want %v", waits, want)
				}
			}
		}
		_, err := reader.Exec(t.Context(), "COMMIT")
		return err
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestMigrationsAreListed(t *testing.T) {
	store := open(t, newDatabase(t))
	pending, err := store.Migrations(t.Context())
	if err != nil || len(pending) == 0 || pending[0].Version != 1 || pending[0].Name != "00001_ledger" || !pending[0].AppliedAt.IsZero() {
		t.Fatalf("Migrations before = %+v, %v, want all pending", pending, err)
	}
	for range 2 {
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	applied, err := store.Migrations(t.Context())
	if err != nil || len(applied) != len(pending) || applied[0].AppliedAt.IsZero() {
		t.Errorf("Migrations after = %+v, %v, want all applied", applied, err)
	}
}

func TestPendingMigrationsAreAnError(t *testing.T) {
	store := open(t, newDatabase(t))
	_, err := store.Load(t.Context(), payments.Lookup{})
	if err == nil || !strings.Contains(err.Error(), "app migrate up") {
		t.Errorf("Load = %v, want an error that explains what to do", err)
	}
	if err := store.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	databaseURL, _ := migrated(t)
	execute(t, databaseURL, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)")
	store := open(t, databaseURL)
	if err := store.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "9999") {
		t.Errorf("Migrate = %v, want an error that names the version", err)
	}
	if _, err := store.Order(t.Context(), "o1"); err == nil || !strings.Contains(err.Error(), "9999") {
		t.Errorf("Order = %v, want an error that names the version", err)
	}
}

// Errors that an operator has to fix are distinguished from temporary ones.
func TestDeploymentFaults(t *testing.T) {
	databaseURL, store := migrated(t)
	u := parseURL(t, databaseURL)
	u.Path += "_not"
	if _, err := postgres.Open(t.Context(), u.String()); !errors.Is(err, payments.ErrMisconfigured) {
		t.Errorf("a database that does not exist: %v, want ErrMisconfigured", err)
	}
	if _, err := store.Order(t.Context(), "o1"); !errors.Is(err, payments.ErrNotFound) {
		t.Error(err)
	}
	execute(t, databaseURL, "DROP TABLE events")
	if _, err := store.Load(t.Context(), payments.Lookup{Keys: []payments.Key{{}}}); !errors.Is(err, payments.ErrMisconfigured) {
		t.Errorf("a table that does not exist: %v, want ErrMisconfigured", err)
	}
}
