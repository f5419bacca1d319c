package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// Dialect is what engines write differently in a query.
type Dialect struct {
	// Argument begins the place of an argument, and its number ends it: $1 or ?1.
	Argument string
	// Among says that a column has a value of the list at a place.
	Among func(column, place string) string
	// OfOrders says that an event is of one of the orders in the list at a place.
	OfOrders func(place string) string
	// List and Time are a list and a time as the driver takes them.
	List func([]string) any
	Time func(time.Time) any
}

// Selection is a query of what people ask for. Its text is made of constants only;
// whatever they say becomes an argument.
type Selection struct {
	Args []any

	dialect     Dialect
	text, order string
	where       []string
	limit       int
}

// String is the text of the query.
func (s *Selection) String() string {
	text := s.text + " WHERE " + strings.Join(s.where, " AND ")
	if s.order != "" {
		text += " ORDER BY " + s.order + " LIMIT " + strconv.Itoa(s.limit)
	}
	return text
}

// Orders selects a page of orders: order_id and OrderColumns.
func (d Dialect) Orders(q payments.OrderQuery) *Selection {
	s := d.orders()
	s.among("order_id", q.OrderIDs)
	s.among("user_id", q.UserIDs)
	s.among("status", names(payments.OrderStatuses, q.Statuses))
	s.during("created_at", q.From, q.To)
	s.page("created_at", "order_id", q.Page)
	return s
}

// Order selects the order of an id, with the same columns.
func (d Dialect) Order(id string) *Selection {
	s := d.orders()
	s.and("order_id = " + s.arg(id))
	return s
}

// orders selects those that are more than the owners of disputes.
func (d Dialect) orders() *Selection {
	return &Selection{dialect: d, text: "SELECT order_id, " + OrderColumns + " FROM orders", where: []string{"status <> ''"}}
}

// Disputes selects a page of disputes: DisputeColumns.
func (d Dialect) Disputes(q payments.DisputeQuery) *Selection {
	s := d.disputes()
	s.among("dispute_id", q.DisputeIDs)
	s.among("order_id", q.OrderIDs)
	s.among("user_id", q.UserIDs)
	s.among("status", names(payments.DisputeStatuses, q.Statuses))
	s.during("opened_at", q.From, q.To)
	s.page("opened_at", "dispute_id", q.Page)
	return s
}

// Dispute selects the dispute of an id, with the same columns.
func (d Dialect) Dispute(id string) *Selection {
	s := d.disputes()
	s.and("dispute_id = " + s.arg(id))
	return s
}

// disputes selects those of which any update counts.
func (d Dialect) disputes() *Selection {
	return &Selection{dialect: d, text: "SELECT " + DisputeColumns + " FROM disputes", where: []string{"status <> ''"}}
}

// Events selects a page of events: seq and EventColumns.
func (d Dialect) Events(q payments.EventQuery) *Selection {
	s := &Selection{dialect: d, text: "SELECT seq, " + EventColumns + " FROM events", where: []string{"dispute_id = ''"}}
	if q.Disputes {
		s.where[0] = "dispute_id <> ''"
	}
	if len(q.OrderIDs) > 0 {
		s.and(d.OfOrders(s.arg(d.List(q.OrderIDs))))
	}
	s.among("dispute_id", q.DisputeIDs)
	s.among("user_id", q.UserIDs)
	s.among("status", q.Kinds)
	s.during("occurred_at", q.From, q.To)
	after, direction := directions(q.Page)
	if q.Page.After != nil {
		s.and("seq " + after + s.arg(q.Page.After.Sequence))
	}
	s.order, s.limit = "seq"+direction, q.Page.Limit+1
	return s
}

// DeadLetters selects dead letters: id and LetterColumns.
func (d Dialect) DeadLetters(q payments.DeadLetterQuery) *Selection {
	s := d.letters()
	s.and("id > " + s.arg(q.AfterID))
	s.among("reason", names(payments.DeadLetterReasons, q.Reasons))
	if !q.Settled {
		s.and("resolution = ''")
	}
	s.order, s.limit = "id", q.Limit
	return s
}

// DeadLetter selects the dead letter of an id, with the same columns.
func (d Dialect) DeadLetter(id int64) *Selection {
	s := d.letters()
	s.and("id = " + s.arg(id))
	return s
}

func (d Dialect) letters() *Selection {
	return &Selection{dialect: d, text: "SELECT id, " + LetterColumns + " FROM dead_letters"}
}

// arg is the place of one more argument.
func (s *Selection) arg(value any) string {
	s.Args = append(s.Args, value)
	return s.dialect.Argument + strconv.Itoa(len(s.Args))
}

func (s *Selection) and(condition string) { s.where = append(s.where, condition) }

// among asks for one of the values; no values ask for nothing.
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

// page goes on after a row, sorted by a time and then by an id.
func (s *Selection) page(at, id string, page payments.PageRequest) {
	after, direction := directions(page)
	if page.After != nil {
		s.and("(" + at + ", " + id + ")" + after + "(" + s.arg(s.dialect.Time(page.After.At)) + ", " + s.arg(page.After.ID) + ")")
	}
	s.order, s.limit = at+direction+", "+id+direction, page.Limit+1
}

func directions(page payments.PageRequest) (after, direction string) {
	if page.Ascending {
		return " > ", " ASC"
	}
	return " < ", " DESC"
}

func names[E ~int32](names payments.Names[E], values []E) []string {
	list := make([]string, len(values))
	for i, value := range values {
		list[i] = names.Name(value)
	}
	return list
}

// PageOf is the page of what a selection of so many found: that is one more if
// there is more.
func PageOf[T any](found []T, limit int) payments.Page[T] {
	if len(found) > limit {
		return payments.Page[T]{Items: found[:limit], More: true}
	}
	return payments.Page[T]{Items: found}
}
