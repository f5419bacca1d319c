package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

// unfilled returns a database before the migration that fills the columns of two dead
// letters and two disputes, whose ids ascend while their keys descend.
func unfilled(t *testing.T) (databaseURL string) {
	t.Helper()
	databaseURL, store := migrated(t)
	for _, id := range []string{"b", "a"} {
		letter := &payments.DeadLetter{Key: payments.Key{Source: "p", EventID: id}, CreatedAt: storetest.TrafficStart}
		if err := store.Commit(t.Context(), &payments.Changes{DeadLetters: []*payments.DeadLetter{letter}}); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, databaseURL, "INSERT INTO orders (order_id, version, status, user_id, amount, currency, head_rank, head_event_id) VALUES ('o1', 0, '', '', 0, '', 0, '')")
	for _, d := range [][2]string{{"1", "b"}, {"2", "a"}} {
		execute(t, databaseURL, "INSERT INTO disputes (dispute_id, source, order_id, version, status, user_id, reason, amount, currency, head_rank, head_event_id) VALUES ($1, $2, 'o1', 1, 'open', '', '', 0, '', 1, '')", d[0], d[1])
	}
	for _, statement := range []string{
		"DELETE FROM goose_db_version WHERE version_id >= 11",
		"UPDATE disputes SET id = NULL",
		"UPDATE dead_letters SET search = NULL",
	} {
		execute(t, databaseURL, statement)
	}
	return databaseURL
}

// migrateAgainst migrates while a writer locks one row before the migration does, and
// another one when the migration waits for the first.
func migrateAgainst(t *testing.T, databaseURL, settings, first, second string) {
	t.Helper()
	store := open(t, databaseURL)
	done := make(chan error, 1)
	withConnection(t, databaseURL, func(writer *pgx.Conn) error {
		if _, err := writer.Exec(t.Context(), settings+"; BEGIN; "+first); err != nil {
			return err
		}
		go func() { done <- store.Migrate(t.Context()) }()
		const find = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
		for deadline, waits := time.Now().Add(patience), false; !waits; {
			if err := writer.QueryRow(t.Context(), find).Scan(&waits); err != nil {
				return err
			}
			if time.Now().After(deadline) {
				t.Fatal("the migration does not wait for the writer")
			}
		}
		if _, err := writer.Exec(t.Context(), second); err != nil {
			t.Errorf("the writer's second row: %v", err)
		}
		_, err := writer.Exec(t.Context(), "COMMIT")
		return err
	})
	if err := <-done; err != nil {
		t.Errorf("Migrate = %v", err)
	}
	if left := number(t, databaseURL, "SELECT (SELECT count(*) FROM dead_letters WHERE search IS NULL) + (SELECT count(*) FROM disputes WHERE id IS NULL)"); left != 0 {
		t.Errorf("%d rows have an empty column after the migration", left)
	}
}

func number(t *testing.T, databaseURL, query string) (n int) {
	t.Helper()
	withConnection(t, databaseURL, func(conn *pgx.Conn) error { return conn.QueryRow(t.Context(), query).Scan(&n) })
	return n
}

// The statements lock rows, the first and the second one in the order of their keys.
var lockedRows = map[string][2]string{
	"dead letters": {
		"UPDATE dead_letters SET deliveries = deliveries + 1 WHERE event_id = 'a'",
		"UPDATE dead_letters SET deliveries = deliveries + 1 WHERE event_id = 'b'",
	},
	"disputes": {
		"UPDATE disputes SET version = version + 1 WHERE source = 'a'",
		"UPDATE disputes SET version = version + 1 WHERE source = 'b'",
	},
}

// The migration that fills columns locks rows in the order in which writers do: while it
// waits for the first row, it does not hold the second one.
func TestMigrationLocksRowsInTheOrderOfWriters(t *testing.T) {
	for name, rows := range lockedRows {
		t.Run(name, func(t *testing.T) {
			migrateAgainst(t, unfilled(t), "SET lock_timeout = '200ms'", rows[0], rows[1])
		})
	}
}

// A writer that locks rows in another order does not keep a process from starting.
func TestMigrationIsRepeatedAfterADeadlock(t *testing.T) {
	for name, rows := range lockedRows {
		t.Run(name, func(t *testing.T) {
			databaseURL := unfilled(t)
			// The transaction that looks for a deadlock first is the one that ends.
			migrateAgainst(t, databaseURL, "SET deadlock_timeout = '10min'", rows[1], rows[0])
			const find = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
			for deadline := time.Now().Add(patience); number(t, databaseURL, find) == 0; {
				if time.Now().After(deadline) {
					t.Fatal("there was no deadlock")
				}
			}
		})
	}
}
