package sqlite

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
)

// plan returns the plan of a query, with one step in each line.
func plan(t *testing.T, s *Store, query string, args ...any) string {
	t.Helper()
	rows, err := s.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	var steps []string
	err = store.EachRow(rows, func(row store.Row) error {
		var id, parent, unused int
		var detail string
		err := row.Scan(&id, &parent, &unused, &detail)
		steps = append(steps, detail)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}

// scansTable reports whether a plan scans a whole table or index. Lists of arguments,
// and the rows of an INSERT, are always scanned.
func scansTable(plan string) bool {
	return slices.ContainsFunc(strings.Split(plan, "\n"), func(step string) bool {
		return strings.HasPrefix(step, "SCAN ") && !strings.HasPrefix(step, "SCAN json_each") && !strings.HasSuffix(step, "VALUES CLAUSE")
	})
}

func openForPlans(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "payrelay.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// The cost of the ledger must not grow with the database.
func TestLedgerStatementsScanNoTable(t *testing.T) {
	s := openForPlans(t)
	for _, statement := range new(statements).texts() {
		args := make([]any, strings.Count(statement.text, "?")-strings.Count(statement.text, "?3"))
		if strings.Contains(statement.text, "?3") {
			args = append(args, nil) // a numbered argument counts once
		}
		for i := range args {
			args[i] = "[]"
		}
		if p := plan(t, s, statement.text, args...); scansTable(p) {
			t.Errorf("%s\nhas the plan\n%s, want no table scanned", statement.text, p)
		}
	}
}

func TestQueriesUseTheirIndexes(t *testing.T) {
	s := openForPlans(t)
	first, page := payments.PageRequest{Limit: 50}, payments.PageRequest{Limit: 50, After: &payments.Cursor{Sequence: 7}}
	id, now := []string{"x"}, time.Now()
	for _, query := range []struct {
		selection *store.Selection
		index     string
		sorted    bool // whether the index has the order of the page
	}{
		{dialect.Orders(payments.OrderQuery{Page: page}), "PRIMARY KEY", true},
		{dialect.Orders(payments.OrderQuery{Page: page, From: now, To: now}), "orders_by_creation", false},
		{dialect.Orders(payments.OrderQuery{Page: first, From: now, To: now}), "orders_by_creation", false},
		{dialect.Orders(payments.OrderQuery{Page: page, From: now}), "PRIMARY KEY", true},
		{dialect.Orders(payments.OrderQuery{Page: page, Statuses: []payrelayv1.OrderStatus{1}}), "PRIMARY KEY", true},
		{dialect.Orders(payments.OrderQuery{Page: page, OrderIDs: id}), "sqlite_autoindex_orders_1", false},
		{dialect.Disputes(payments.DisputeQuery{Page: page}), "PRIMARY KEY", true},
		{dialect.Disputes(payments.DisputeQuery{Page: page, Sources: id}), "PRIMARY KEY", true},
		{dialect.Disputes(payments.DisputeQuery{Page: page, From: now, To: now}), "disputes_by_opening", false},
		{dialect.Disputes(payments.DisputeQuery{Page: first, DueTo: now}), "disputes_by_deadline", false},
		{dialect.Disputes(payments.DisputeQuery{Page: page, DueFrom: now, DueTo: now}), "disputes_by_deadline", false},
		{dialect.Disputes(payments.DisputeQuery{Page: page, DisputeIDs: id}), "sqlite_autoindex_disputes_1", false},
		{dialect.Disputes(payments.DisputeQuery{Page: page, OrderIDs: id}), "disputes_by_order", false},
		{dialect.Events(payments.EventQuery{Page: page}), "PRIMARY KEY", true},
		{dialect.Events(payments.EventQuery{Page: page, OrderIDs: id}), "events_by_order", false},
		{dialect.Events(payments.EventQuery{Page: page, Disputes: true}), "events_of_disputes", true},
		{dialect.Events(payments.EventQuery{Page: page, Disputes: true, DisputeIDs: id}), "events_by_dispute", false},
		{dialect.EventsBefore(payments.Subject{Order: "x"}, payments.SubjectQuery{AfterSequence: 7, From: now}), "events_by_order", true},
		{dialect.EventsBefore(payments.Subject{Dispute: payments.DisputeKey{Source: "x", ID: "x"}}, payments.SubjectQuery{AfterSequence: 7, Sources: id}), "events_by_dispute", true},
	} {
		p := plan(t, s, query.selection.String(), query.selection.Args...)
		if !strings.Contains(p, query.index) || scansTable(p) || query.sorted == strings.Contains(p, "TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%s\nhas the plan\n%s, want it to use %s", query.selection, p, query.index)
		}
	}
}

// Pages of dead letters are read in their order, until they are full, and the numbers of
// those after them from there.
func TestDeadLettersAreReadInOrder(t *testing.T) {
	s := openForPlans(t)
	for _, q := range []payments.DeadLetterQuery{{}, {Text: "x"}, {Sources: []string{"x"}}, {Text: "x", Kinds: []payments.Kind{payments.KindNote}}} {
		q.AfterID, q.Limit, q.Settled, q.Descending = 7, 50, true, true
		p := plan(t, s, dialect.DeadLetters(q).String(), dialect.DeadLetters(q).Args...)
		if strings.Contains(p, "TEMP B-TREE") || scansTable(p) {
			t.Errorf("%s\nhas the plan\n%s, want it to read in order", dialect.DeadLetters(q), p)
		}
		q.Text = "x"
		rest := dialect.RemainingDeadLetters(q)
		p = plan(t, s, rest.String(), rest.Args...)
		if !strings.Contains(p, "dead_letters_open (id<?)") || !strings.Contains(p, "dead_letters_settled (id<?)") {
			t.Errorf("%s\nhas the plan\n%s, want it to begin after the page", rest, p)
		}
	}
}
