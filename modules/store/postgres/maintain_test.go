package postgres_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/store/retention"
)

// A role that has only the rights that the documentation names, from before the
// migration, writes bodies. Without the rights of the owner it cannot maintain them.
func TestBodiesOfARoleWithFewRights(t *testing.T) {
	databaseURL := newDatabase(t)
	migrateTo(t, databaseURL, firstRelease)
	role := "payrelay_test_" + strings.ToLower(rand.Text())
	for _, statement := range []string{
		"CREATE ROLE " + role + " LOGIN", "GRANT USAGE ON SCHEMA public TO " + role,
		"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO " + role, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO " + role,
	} {
		execute(t, databaseURL, statement)
	}
	t.Cleanup(func() { execute(t, databaseURL, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	if err := open(t, databaseURL).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	u := parseURL(t, databaseURL)
	u.User = url.User(role)
	store := open(t, u.String())
	if err := store.Migrate(t.Context()); err != nil {
		t.Errorf("Migrate when nothing is pending = %v, want nil", err)
	}
	applyBusy(t, store, []int{1, 2, 3})
	if got := count(t, databaseURL, "bodies"); got != 3 {
		t.Errorf("got %d bodies, want 3", got)
	}
	s, err := store.Maintain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.MakeDays(t.Context(), time.Now().AddDate(1, 0, 0), 1); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("MakeDays = %v, want it not permitted", err)
	}
}

func count(t *testing.T, databaseURL, table string) (rows int) {
	t.Helper()
	withConnection(t, databaseURL, func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&rows)
	})
	return rows
}

// A body for whose day there is no partition is kept all the same, and the partitions of
// other days are made. Old days are dropped without waiting for a running commit for
// long, which does not wait either.
func TestPartitions(t *testing.T) {
	databaseURL, store := migrated(t)
	today := retention.Day(time.Now()).Format("bodies_20060102")
	execute(t, databaseURL, "DROP TABLE "+today)
	applyBusy(t, store, []int{1, 2, 3})
	if got := count(t, databaseURL, "bodies_other"); got != 3 {
		t.Errorf("got %d bodies in bodies_other, want 3", got)
	}
	s, err := store.Maintain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.MakeDays(t.Context(), time.Now(), 20); err != nil {
		t.Fatal(err)
	}
	if got := count(t, databaseURL, "pg_inherits WHERE inhparent = 'bodies'::regclass"); got != 2+19 {
		t.Errorf("got %d partitions, want those of 19 days and two more", got)
	}
	dropped := make(chan error, 1)
	withConnection(t, databaseURL, func(writer *pgx.Conn) error {
		if _, err := writer.Exec(t.Context(), "BEGIN; LOCK TABLE bodies IN ROW EXCLUSIVE MODE"); err != nil {
			return err
		}
		go func() {
			_, err := s.RemoveBodies(t.Context(), time.Now().AddDate(0, 0, 3))
			dropped <- err
		}()
		for range 5 {
			begin := time.Now()
			applyBusy(t, store, []int{4, 5, 6})
			if took := time.Since(begin); took > time.Second {
				t.Errorf("a commit takes %v next to a partition that cannot be dropped", took)
			}
		}
		_, err := writer.Exec(t.Context(), "COMMIT")
		return err
	})
	if err := <-dropped; err != nil {
		t.Error(err)
	}
	if got := count(t, databaseURL, "bodies"); got != 0 {
		t.Errorf("got %d bodies, want none", got)
	}
}
