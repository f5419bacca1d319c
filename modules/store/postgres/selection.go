package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/payrelay/payrelay/modules/payments"
)

// selection builds a query. Its text is made of constants only; whatever a
// caller says becomes an argument.
type selection struct {
	text  string
	where []string
	order string
	args  []any
}

// arg is the place of one more argument.
func (s *selection) arg(value any) string {
	s.args = append(s.args, value)
	return "$" + strconv.Itoa(len(s.args))
}

func (s *selection) and(condition string) { s.where = append(s.where, condition) }

// in asks for one of the values; no values ask for nothing.
func (s *selection) in(column string, values []string) {
	if len(values) > 0 {
		s.and(column + " = ANY(" + s.arg(values) + ")")
	}
}

func (s *selection) between(column string, from, to time.Time) {
	if !from.IsZero() {
		s.and(column + " >= " + s.arg(from))
	}
	if !to.IsZero() {
		s.and(column + " < " + s.arg(to))
	}
}

func (s *selection) pageBy(at, id string, page payments.PageRequest) {
	after, direction := directions(page)
	if page.After != nil {
		s.and("(" + at + ", " + id + ") " + after + " (" + s.arg(page.After.At) + ", " + s.arg(page.After.ID) + ")")
	}
	s.order = at + direction + ", " + id + direction
}

func (s *selection) pageBySequence(page payments.PageRequest) {
	after, direction := directions(page)
	if page.After != nil {
		s.and("seq " + after + " " + s.arg(page.After.Sequence))
	}
	s.order = "seq" + direction
}

func directions(page payments.PageRequest) (after, direction string) {
	if page.Ascending {
		return ">", " ASC"
	}
	return "<", " DESC"
}

// limited is the whole query, for so many rows.
func (s *selection) limited(limit int) string {
	return s.text + " WHERE " + strings.Join(s.where, " AND ") + " ORDER BY " + s.order + " LIMIT " + strconv.Itoa(limit)
}

// readPage asks for one more than the page holds, to know whether there is more.
func readPage[T any](ctx context.Context, s *Store, sel selection, limit int, scan pgx.RowToFunc[T]) (payments.Page[T], error) {
	items, err := query(ctx, s, s.reader, sel.limited(limit+1), sel.args, scan)
	if err != nil {
		return payments.Page[T]{}, fmt.Errorf("read page: %w", err)
	}
	if len(items) > limit {
		return payments.Page[T]{Items: items[:limit], More: true}, nil
	}
	return payments.Page[T]{Items: items}, nil
}

// query reads all rows of a query.
func query[T any](ctx context.Context, s *Store, pool *pgxpool.Pool, text string, args []any, scan pgx.RowToFunc[T]) ([]T, error) {
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := pool.Query(ctx, text, args...)
	if err != nil {
		return nil, classified(err)
	}
	items, err := pgx.CollectRows(rows, scan)
	return items, classified(err)
}

// readOne reads the one row of an id, or payments.ErrNotFound.
func readOne[T any](ctx context.Context, s *Store, text string, id any, scan pgx.RowToFunc[T]) (T, error) {
	var none T
	items, err := query(ctx, s, s.reader, text, []any{id}, scan)
	switch {
	case err != nil:
		return none, err
	case len(items) == 0:
		return none, payments.ErrNotFound
	case len(items) > 1:
		return none, errors.New("more than one row")
	}
	return items[0], nil
}

func names[E ~int32](names payments.Names[E], values []E) []string {
	list := make([]string, len(values))
	for i, value := range values {
		list[i] = names.Name(value)
	}
	return list
}
