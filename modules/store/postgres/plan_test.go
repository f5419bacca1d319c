package postgres_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/postgres"
)

// plan returns the plan of a prepared statement.
func plan(t *testing.T, pool *pgxpool.Pool, statement string) string {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	prepared, err := conn.Conn().Prepare(t.Context(), "plan", statement)
	if err != nil {
		t.Fatalf("%v: %s", err, statement)
	}
	defer func() {
		if err := conn.Conn().Deallocate(context.Background(), "plan"); err != nil {
			t.Error(err)
		}
	}()
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(prepared.ParamOIDs)), ", ")
	rows, err := conn.Query(context.Background(), "EXPLAIN EXECUTE plan ("+nulls+")")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return strings.Join(lines, "\n")
}

// readsWhole reports whether a plan reads a whole table, directly or through an index
// without a condition on it.
func readsWhole(plan string) bool {
	lines := strings.Split(plan, "\n")
	return slices.ContainsFunc(lines, func(l string) bool {
		return strings.Contains(l, "Seq Scan") || strings.Contains(l, "Hash") || strings.Contains(l, "Merge")
	}) ||
		strings.Count(plan, "Index Scan")+strings.Count(plan, "Index Only Scan") > strings.Count(plan, "Index Cond:")
}

// The cost of the ledger must not grow with the database. Its plans are made when the
// tables may still be empty.
func TestLedgerStatementsUseTheirIndexes(t *testing.T) {
	_, store := migrated(t)
	for _, statement := range postgres.LedgerStatements {
		if p := plan(t, store.LedgerPool(), statement); readsWhole(p) {
			t.Errorf("%s\nhas the plan\n%s, want no table read as a whole", statement, p)
		} else if testing.Verbose() {
			t.Logf("%s\n%s", statement, p)
		}
	}
}

// Pages can be read from an index in their order. On an empty table the planner has no
// reason to, unless other ways are disabled.
func TestPagesUseTheirIndexes(t *testing.T) {
	databaseURL, _ := migrated(t)
	store := open(t, withParameters(t, databaseURL, url.Values{"enable_bitmapscan": {"off"}, "enable_sort": {"off"}}))
	page := payments.PageRequest{Limit: 50, After: &payments.Cursor{Sequence: 7}}
	for query, index := range map[string]string{
		postgres.Dialect.Orders(payments.OrderQuery{Page: page}).String():                 "orders_pkey",
		postgres.Dialect.Disputes(payments.DisputeQuery{Page: page}).String():             "disputes_by_id",
		postgres.Dialect.Events(payments.EventQuery{Page: page}).String():                 "events_pkey",
		postgres.Dialect.Events(payments.EventQuery{Page: page, Disputes: true}).String(): "events_of_disputes",
	} {
		if p := plan(t, store.LedgerPool(), query); readsWhole(p) || !strings.Contains(p, "Scan Backward using "+index) || strings.Contains(p, "Sort") {
			t.Errorf("%s\nhas the plan\n%s, want it to use %s", query, p, index)
		}
	}
}

// The server chooses by its statistics between the order of the page and an index by time.
func TestShortPeriodsUseTheirIndexes(t *testing.T) {
	databaseURL, opened := migrated(t)
	for _, statement := range []string{
		`INSERT INTO orders (order_id, version, status, user_id, amount, currency, head_rank, head_event_id, created_at)
			SELECT 'o' || n, 1, 'success', '', 0, '', 1, '', timestamptz '2026-01-01' + n * interval '1 minute' FROM generate_series(1, 30000) AS n`,
		`INSERT INTO disputes (dispute_id, source, order_id, version, status, user_id, reason, amount, currency, head_rank, head_event_id, opened_at, evidence_due_at)
			SELECT order_id, 'a', order_id, 1, 'open', '', '', 0, '', 1, '', created_at, CASE WHEN id % 50 = 0 THEN created_at END FROM orders`,
		"ANALYZE orders, disputes",
	} {
		execute(t, databaseURL, statement)
	}
	from := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
	to, page := from.Add(10*time.Minute), payments.PageRequest{Limit: 50}
	for index, s := range map[string]*store.Selection{
		"orders_by_creation":   postgres.Dialect.Orders(payments.OrderQuery{From: from, To: to, Page: page}),
		"disputes_by_opening":  postgres.Dialect.Disputes(payments.DisputeQuery{From: from, To: to, Page: page}),
		"disputes_by_deadline": postgres.Dialect.Disputes(payments.DisputeQuery{DueFrom: from, DueTo: from.Add(10 * time.Hour), Page: page}),
	} {
		rows, err := opened.Pools()[1].Query(t.Context(), "EXPLAIN "+s.String(), s.Args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if p := strings.Join(lines, "\n"); err != nil || !strings.Contains(p, index) {
			t.Errorf("%s\nhas the plan\n%s (%v), want it to use %s", s, p, err, index)
		}
	}
}
