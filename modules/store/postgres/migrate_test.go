package postgres_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/storetest"
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

// The migration that fills columns and builds indexes can be repeated after it was
// interrupted, and processes of the previous release write meanwhile.
func TestMigrationOfListingsIsRepeated(t *testing.T) {
	databaseURL, store := migrated(t)
	var updates []*payrelayv1.Update
	for i := range 1200 {
		updates = append(updates, &payrelayv1.Update{
			SchemaVersion: 1, Provider: "p", EventId: fmt.Sprint(i), OrderId: "o1", OccurredAt: timestamppb.New(storetest.TrafficStart),
			Subject: &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{
				Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN, DisputeId: fmt.Sprint("d", i*7%1200),
			}},
		})
	}
	for chunk := range slices.Chunk(updates, 100) {
		storetest.Apply(t, payments.NewLedger(store), chunk)
	}
	letters := make([]*payments.DeadLetter, 1200)
	for i := range letters {
		letters[i] = &payments.DeadLetter{Key: payments.Key{Source: "p", EventID: fmt.Sprint(i)}, Detail: "Text", CreatedAt: storetest.TrafficStart}
	}
	if err := store.Commit(t.Context(), &payments.Changes{DeadLetters: letters}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"DELETE FROM goose_db_version WHERE version_id >= 11",
		"ALTER SEQUENCE disputes_id_seq START 5000 RESTART 5000",
		"UPDATE disputes SET id = NULL",
		"UPDATE dead_letters SET search = NULL WHERE id > 700",
		"DROP INDEX disputes_by_id, dead_letters_open",
		"CREATE INDEX disputes_by_id ON disputes (order_id)",
		"INSERT INTO disputes (dispute_id, source, order_id, version, status, user_id, reason, amount, currency, head_rank, head_event_id) VALUES ('new', 'p', 'o1', 1, 'open', '', '', 0, '', 1, '')",
	} {
		execute(t, databaseURL, statement)
	}
	again := open(t, databaseURL)
	if err := again.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	counts, err := again.CountDeadLetters(t.Context(), payments.DeadLetterQuery{Text: "tEXT"})
	if err != nil || len(counts) != 1 || counts[0].Count != 1200 {
		t.Errorf("CountDeadLetters = %v, %v, want 1200", counts, err)
	}
	page, err := again.Disputes(t.Context(), payments.DisputeQuery{Page: payments.PageRequest{Limit: 3}})
	if err != nil || len(page.Items) != 3 || page.Items[0].ID != "new" || page.Items[0].Sequence != 5000 || page.Items[1].ID != "d1193" || page.Items[2].ID != "d1186" {
		t.Errorf("Disputes = %+v, %v, want the new one and then the newest old ones", page.Items, err)
	}
	var index string
	withConnection(t, databaseURL, func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), "SELECT pg_get_indexdef('disputes_by_id'::regclass)").Scan(&index)
	})
	if !strings.Contains(index, "UNIQUE INDEX") || !strings.Contains(index, "(id)") {
		t.Errorf("after the migration the index is %s", index)
	}
}
