package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/store/transfer"
)

// unconfirmed starts a copy to a server whose commits wait for a standby that does not
// exist.
func unconfirmed(t *testing.T, ctx context.Context, source *sqlite.Store) (serverURL string, target *postgres.Store, done chan error) {
	t.Helper()
	serverURL = ownServer(t).URL()
	target = open(t, serverURL)
	if err := target.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	configure(t, serverURL, "synchronous_standby_names", "nobody")
	done = make(chan error, 1)
	go func() { done <- fill(ctx, source, target, nothing) }()
	awaitCommits(t, serverURL, 1)
	return serverURL, target, done
}

// awaitCommits waits until want commits wait for a standby.
func awaitCommits(t *testing.T, serverURL string, want int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		got := waitingCommits(t, serverURL)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %d commits that wait for a standby, want %d", got, want)
		}
	}
}

func waitingCommits(t *testing.T, serverURL string) (waiting int) {
	t.Helper()
	withConnection(t, serverURL, func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").Scan(&waiting)
	})
	return waiting
}

// An interrupt during the commit of a copy neither cancels the commit nor makes it an
// error.
func TestACommitOfACopyIsNotInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	serverURL, _, done := unconfirmed(t, ctx, busySource(t))
	interrupt()
	configure(t, serverURL, "synchronous_standby_names", "")
	if err := <-done; err != nil {
		t.Errorf("when the standby is back: %v", err)
	}
}

// A copy whose commit is not confirmed has its own error, and a second run of the
// same copy finds out whether it was committed.
func TestACommitOfACopyThatIsNotConfirmed(t *testing.T) {
	source := busySource(t)
	serverURL, target, done := unconfirmed(t, t.Context(), source)
	cutOthers(t, serverURL)
	if err := <-done; !errors.Is(err, transfer.ErrUncertain) {
		t.Errorf("Copy over a connection that breaks = %v, want ErrUncertain", err)
	}
	go func() { done <- fill(t.Context(), source, target, nothing) }()
	awaitCommits(t, serverURL, 1)
	configure(t, serverURL, "synchronous_standby_names", "")
	if err := <-done; err != nil {
		t.Errorf("the same copy again: %v", err)
	}
}

// Rows that the target has already are neither copied again nor mixed with others.
func TestCopyOfWhatIsThere(t *testing.T) {
	source := busySource(t)
	_, target := migrated(t)
	for range 2 {
		if err := fill(t.Context(), source, target, nothing); err != nil {
			t.Fatal(err)
		}
	}
	applyBusy(t, target, []int{100_000})
	if err := fill(t.Context(), source, target, nothing); err == nil {
		t.Error("a database that has changed since is accepted as the copy")
	}
}

// If the caller is not ready, the copy is not committed.
func TestACopyThatMayNotBeCommitted(t *testing.T) {
	databaseURL, target := migrated(t)
	errFull := errors.New("disk full")
	if _, err := transfer.Copy(t.Context(), busySource(t), target, nothing, func() error { return errFull }); !errors.Is(err, errFull) || errors.Is(err, transfer.ErrUncertain) {
		t.Errorf("Copy = %v, want the error of the caller", err)
	}
	wantEmpty(t, databaseURL)
	if _, err := target.Order(t.Context(), "o1"); !errors.Is(err, payments.ErrNotFound) {
		t.Error(err)
	}
}

// A commit that the server refuses is certain not to have happened.
func TestACommitOfACopyThatIsRefused(t *testing.T) {
	databaseURL, target := migrated(t)
	execute(t, databaseURL, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused at the end'; END $$")
	execute(t, databaseURL, "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()")
	if err := fill(t.Context(), busySource(t), target, nothing); err == nil || errors.Is(err, transfer.ErrUncertain) {
		t.Errorf("Copy = %v, want an error other than ErrUncertain", err)
	}
	wantEmpty(t, databaseURL)
}
