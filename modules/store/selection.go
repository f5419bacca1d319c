package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// Dialect holds the parts of a query that differ between engines.
type Dialect struct {
	// Argument is the first character of a placeholder, which is followed by the
	// number of the argument: $ or ?.
	Argument string
	// Among returns the condition that a column has a value of the list in an
	// argument.
	Among func(column, argument string) string
	// OfOrders returns the condition that an event is of one of the orders in an
	// argument.
	OfOrders func(argument string) string
	// OldBody is the body of an event that an older release recorded in the table of
	// events.
	OldBody string
	// Index returns the clause after the name of a table that makes a query use an index,
	// empty for an engine whose planner has statistics.
	Index func(name string) string
	// SearchesLetter returns the condition that the searchable texts of a dead letter, with
	// their ASCII letters in lower case, contain an argument.
	SearchesLetter func(argument string) string
	// List, Numbers and Time return lists and a time as the driver takes them.
	List    func([]string) any
	Numbers func([]int64) any
	Time    func(time.Time) any
}

// Selection is a query with its arguments. Its text consists of constants only;
// every value that a caller gives is an argument.
type Selection struct {
	Args []any

	dialect     Dialect
	text, order string
	where       []string
	limit       int
}

// String returns the text of the query.
func (s *Selection) String() string {
	text := s.text
	if len(s.where) > 0 {
		text += " WHERE " + strings.Join(s.where, " AND ")
	}
	if s.order != "" {
		text += " ORDER BY " + s.order + " LIMIT " + strconv.Itoa(s.limit)
	}
	return text
}

// Orders selects a page of orders, and one order more: id, order_id and OrderColumns. It
// selects the orders that had an update of their own. The others are only owners of
// disputes.
func (d Dialect) Orders(q payments.OrderQuery) *Selection {
	s := &Selection{dialect: d, text: "SELECT id, order_id, " + OrderColumns + " FROM orders", where: []string{hasState}}
	s.among("order_id", q.OrderIDs)
	s.among("user_id", q.UserIDs)
	s.among("status", names(payments.OrderStatuses, q.Statuses))
	s.during("created_at", q.From, q.To)
	s.page("id", q.Page)
	return s
}

// hasState selects the orders and disputes with an applied update.
const hasState = "status <> ''"

// order selects the order with an id: order_id and OrderColumns.
func (d Dialect) order(id string) *Selection {
	s := &Selection{dialect: d, text: "SELECT order_id, " + OrderColumns + " FROM orders", where: []string{hasState}}
	s.and("order_id = " + s.arg(id))
	return s
}

// Disputes selects a page of disputes, and one dispute more: id and DisputeColumns.
func (d Dialect) Disputes(q payments.DisputeQuery) *Selection {
	s := &Selection{dialect: d, text: "SELECT id, " + DisputeColumns + " FROM disputes", where: []string{hasState}}
	if !(q.DueFrom.IsZero() && q.DueTo.IsZero()) && len(q.DisputeIDs)+len(q.OrderIDs) == 0 {
		s.text += d.Index("disputes_by_deadline") // few have a deadline
	}
	s.among("source", q.Sources)
	s.among("dispute_id", q.DisputeIDs)
	s.among("order_id", q.OrderIDs)
	s.among("user_id", q.UserIDs)
	s.among("status", names(payments.DisputeStatuses, q.Statuses))
	s.during("opened_at", q.From, q.To)
	s.during("evidence_due_at", q.DueFrom, q.DueTo)
	s.page("id", q.Page)
	return s
}

// disputesWith selects the disputes with an id: DisputeColumns.
func (d Dialect) disputesWith(id string) *Selection {
	s := &Selection{dialect: d, text: "SELECT " + DisputeColumns + " FROM disputes", where: []string{hasState}}
	s.and("dispute_id = " + s.arg(id))
	return s
}

// dispute selects the dispute with a key, with the same columns.
func (d Dialect) dispute(key payments.DisputeKey) *Selection {
	s := d.disputesWith(key.ID)
	s.and("source = " + s.arg(key.Source))
	return s
}

// Events selects a page of events, and one event more: seq, digest and
// EventColumns.
func (d Dialect) Events(q payments.EventQuery) *Selection {
	s := &Selection{dialect: d, text: "SELECT seq, digest, " + EventColumns + " FROM events", where: []string{"dispute_id = ''"}}
	if q.Disputes {
		s.where[0] = "dispute_id <> ''"
	}
	if len(q.OrderIDs) > 0 {
		s.and(d.OfOrders(s.arg(d.List(q.OrderIDs))))
	}
	s.among("provider", q.Sources)
	s.among("dispute_id", q.DisputeIDs)
	s.among("user_id", q.UserIDs)
	s.among("status", q.Kinds)
	s.during("occurred_at", q.From, q.To)
	s.page("seq", q.Page)
	return s
}

// audit selects a page of the audit log, and one entry more: id and AuditColumns.
func (d Dialect) audit(q payments.AuditQuery) *Selection {
	s := &Selection{dialect: d, text: "SELECT id, " + AuditColumns + " FROM audit"}
	s.among("action", q.Actions)
	if len(q.OrderIDs) > 0 {
		s.and("order_id <> ''")
		s.among("order_id", q.OrderIDs)
	}
	s.during("acted_at", q.From, q.To)
	s.page("id", q.Page)
	return s
}

// arg adds an argument and returns its placeholder.
func (s *Selection) arg(value any) string {
	s.Args = append(s.Args, value)
	return s.dialect.Argument + strconv.Itoa(len(s.Args))
}

func (s *Selection) and(condition string) { s.where = append(s.where, condition) }

// among adds the condition that a column has one of the values, unless there are
// none.
func (s *Selection) among(column string, values []string) {
	if len(values) > 0 {
		s.and(s.dialect.Among(column, s.arg(s.dialect.List(values))))
	}
}

func (s *Selection) during(column string, from, to time.Time) {
	if !from.IsZero() {
		s.and(column + " >= " + s.arg(s.dialect.Time(from)))
	}
	if !to.IsZero() {
		s.and(column + " < " + s.arg(s.dialect.Time(to)))
	}
}

// page sorts by a number, and continues after the row of the previous page.
func (s *Selection) page(column string, page payments.PageRequest) {
	after, direction := " < ", " DESC"
	if page.Ascending {
		after, direction = " > ", " ASC"
	}
	if page.After != nil {
		s.and(column + after + s.arg(page.After.Sequence))
	}
	s.order, s.limit = column+direction, page.Limit+1
}

func names[E ~int32](names payments.Names[E], values []E) []string {
	list := make([]string, len(values))
	for i, value := range values {
		list[i] = names.Name(value)
	}
	return list
}
