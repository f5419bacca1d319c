package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/store/postgres"
)

// Defaults that an administrator set for a database or a user do not make commits
// asynchronous.
func TestDefaultsDoNotMakeCommitsAsynchronous(t *testing.T) {
	databaseURL, _ := migrated(t)
	for _, whose := range []string{"DATABASE %I", "ROLE CURRENT_USER IN DATABASE %I"} {
		execute(t, databaseURL, "DO $$ BEGIN EXECUTE format('ALTER "+whose+" SET synchronous_commit = off', current_database()); END $$")
		withConnection(t, databaseURL, func(conn *pgx.Conn) error {
			var setting string
			err := conn.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&setting)
			if setting != "off" {
				t.Errorf("%s: the default of synchronous_commit is %s, want off", whose, setting)
			}
			return err
		})
		for _, pool := range open(t, databaseURL).Pools() {
			var setting string
			if err := pool.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&setting); err != nil || setting != "on" {
				t.Errorf("%s: synchronous_commit is %q (%v), want on", whose, setting, err)
			}
		}
	}
}

// A server that may lose what it has confirmed is refused, by the settings that it
// reports.
func TestServersThatForgetAreRefused(t *testing.T) {
	server := ownServer(t)
	for _, name := range []string{"fsync", "full_page_writes"} {
		configure(t, server.URL(), name, "off")
		store, err := postgres.Open(t.Context(), server.URL())
		if err == nil {
			_ = store.Close()
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is off: Open = %v, want an error that names it", name, err)
		}
		configure(t, server.URL(), name, "on")
	}
	open(t, server.URL())
}

// Parameters of the URL reach the server as they do from psql.
func TestParametersWithSpaces(t *testing.T) {
	databaseURL := newDatabase(t)
	for _, pool := range open(t, databaseURL+"?options=-c%20search_path%3Dpublic&application_name=a%20b%2Bc").Pools() {
		for name, want := range map[string]string{"search_path": "public", "application_name": "a b+c", "synchronous_commit": "on"} {
			var got string
			if err := pool.QueryRow(t.Context(), "SHOW "+name).Scan(&got); err != nil || got != want {
				t.Errorf("%s = %q, %v, want %q", name, got, err, want)
			}
		}
	}
}
