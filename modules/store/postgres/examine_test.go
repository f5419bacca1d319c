package postgres_test

import (
	"context"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/modules/store/postgres"
)

// TestExamine takes privileges from a user, which a check names.
func TestExamine(t *testing.T) {
	database := newDatabase(t)
	store, err := postgres.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	before, err := store.Examine(t.Context())
	if err != nil || !before.Empty || len(before.Lacking) > 0 {
		t.Errorf("Examine() of an empty database = %+v, %v, want Empty", before, err)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, err := store.Examine(t.Context())
	if err != nil || found.Empty || len(found.Lacking) > 0 || time.Since(found.Clock).Abs() > time.Minute {
		t.Errorf("Examine() of the owner = %+v, %v, want all privileges, and the time", found, err)
	}
	const user = "examined"
	for _, statement := range []string{
		"DROP ROLE IF EXISTS " + user, "CREATE ROLE " + user + " LOGIN PASSWORD 'x'", "GRANT USAGE ON SCHEMA public TO " + user,
		"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO " + user, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO " + user,
		"REVOKE INSERT ON events FROM " + user,
	} {
		if err := servers.Execute(t.Context(), database, statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, statement := range []string{"DROP OWNED BY " + user, "DROP ROLE " + user} {
			if err := servers.Execute(context.WithoutCancel(t.Context()), database, statement); err != nil {
				t.Error(err)
			}
		}
	})
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, "x")
	limited, err := postgres.Open(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer limited.Close()
	found, err = limited.Examine(t.Context())
	if want := []string{"DELETE on checkpoints", "INSERT on events"}; err != nil || !slices.Equal(found.Lacking, want) {
		t.Errorf("Examine() = %+v, %v, want that %q lack", found, err, want)
	}
}
