package postgres

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// column is a column of a table, and how its value is taken from a row that is to
// be written.
type column[R any] struct {
	name, kind string
	value      func(R) any
	// array holds the values of many rows.
	array func([]R) any
}

func col[R, V any](name, kind string, value func(R) V) column[R] {
	array := func(rows []R) any {
		values := make(pgtype.FlatArray[V], len(rows))
		for i, row := range rows {
			values[i] = value(row)
		}
		return values
	}
	return column[R]{name, kind, func(row R) any { return value(row) }, array}
}

func text[R any](name string, value func(R) string) column[R] { return col(name, "text", value) }
func bigint[R any](name string, value func(R) int64) column[R] {
	return col(name, "bigint", value)
}
func binary[R any](name string, value func(R) []byte) column[R] { return col(name, "bytea", value) }

// instant is NULL for the zero time.
func instant[R any](name string, value func(R) time.Time) column[R] {
	return col(name, "timestamptz", func(row R) pgtype.Timestamptz {
		t := value(row)
		return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
	})
}

// stamp is an instant that a message may lack; NULL then. PostgreSQL has
// microseconds.
func stamp[R any](name string, value func(R) *timestamppb.Timestamp) column[R] {
	return col(name, "timestamptz", func(row R) pgtype.Timestamptz {
		ts := value(row)
		if ts == nil {
			return pgtype.Timestamptz{}
		}
		return pgtype.Timestamptz{Time: ts.AsTime().Truncate(time.Microsecond), Valid: true}
	})
}

// columns are those of a table that a statement writes, or goes by.
type columns[R any] []column[R]

func (c columns[R]) names() string {
	list := make([]string, len(c))
	for i := range c {
		list[i] = c[i].name
	}
	return strings.Join(list, ", ")
}

// assignments set the columns to those of the same name in another row.
func (c columns[R]) assignments(from string) string {
	list := make([]string, len(c))
	for i := range c {
		list[i] = c[i].name + " = " + from + "." + c[i].name
	}
	return strings.Join(list, ", ")
}

// one is a single row of a statement's arguments, as a table.
func (c columns[R]) one() string {
	return "(VALUES (" + c.places("") + ")) AS given (" + c.names() + ")"
}

// many is the same of any number of rows, in their sequence: an array for each
// column, so that the statement is the same for every number.
func (c columns[R]) many() string {
	return "unnest(" + c.places("[]") + ") AS given (" + c.names() + ")"
}

func (c columns[R]) places(suffix string) string {
	list := make([]string, len(c))
	for i := range c {
		list[i] = fmt.Sprintf("$%d::%s%s", i+1, c[i].kind, suffix)
	}
	return strings.Join(list, ", ")
}

// statement writes rows that come as its first arguments. PostgreSQL takes its
// time to set up an array for each of twenty columns, so a lone row, which is what
// a lone caller waits for, comes without.
type statement[R any] struct {
	columns   columns[R]
	one, many string
}

// newStatement makes a statement of its text, in which @rows is the table "given"
// and @count one further argument.
func newStatement[R any](c columns[R], text string) statement[R] {
	text = strings.ReplaceAll(text, "@count", fmt.Sprintf("$%d::bigint", len(c)+1))
	return statement[R]{c, strings.ReplaceAll(text, "@rows", c.one()), strings.ReplaceAll(text, "@rows", c.many())}
}

func (s statement[R]) queue(batch *pgx.Batch, rows []R, more ...any) {
	switch len(rows) {
	case 0:
	case 1:
		batch.Queue(s.one, s.args(func(c column[R]) any { return c.value(rows[0]) }, more)...)
	default:
		batch.Queue(s.many, s.args(func(c column[R]) any { return c.array(rows) }, more)...)
	}
}

func (s statement[R]) args(of func(column[R]) any, more []any) []any {
	args := make([]any, len(s.columns), len(s.columns)+len(more))
	for i, c := range s.columns {
		args[i] = of(c)
	}
	return append(args, more...)
}
