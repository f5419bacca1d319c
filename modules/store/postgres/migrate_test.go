package postgres_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

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
			if _, err := store.Load(t.Context(), payments.Lookup{OrderIDs: []string{"o1"}}); err != nil {
				t.Errorf("after the migration: %v", err)
			}
		})
	}
	migrating.Wait()
}

func TestMigrationsAreListed(t *testing.T) {
	store := open(t, newDatabase(t))
	pending, err := store.Migrations(t.Context())
	if err != nil || len(pending) == 0 || pending[0].Version != 1 || pending[0].Name != "00001_ledger" || !pending[0].AppliedAt.IsZero() {
		t.Fatalf("before: %+v (%v)", pending, err)
	}
	for range 2 {
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	applied, err := store.Migrations(t.Context())
	if err != nil || len(applied) != len(pending) || applied[0].AppliedAt.IsZero() {
		t.Errorf("after: %+v (%v)", applied, err)
	}
}

func TestPendingMigrationsAreAnError(t *testing.T) {
	store := open(t, newDatabase(t))
	_, err := store.Load(t.Context(), payments.Lookup{})
	if err == nil || !strings.Contains(err.Error(), "app migrate up") {
		t.Errorf("error %v, want one that says what to do", err)
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
		t.Errorf("migrate: error %v, want one that names the version", err)
	}
	if _, err := store.Order(t.Context(), "o1"); err == nil || !strings.Contains(err.Error(), "9999") {
		t.Errorf("read: error %v, want one that names the version", err)
	}
}

// What only a person can mend can be told from what passes.
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
