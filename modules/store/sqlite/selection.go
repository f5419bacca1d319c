package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

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

func (s *selection) and(condition string, args ...any) {
	s.where = append(s.where, condition)
	s.args = append(s.args, args...)
}

// in asks for one of the values; no values ask for nothing.
func (s *selection) in(column string, values []string) {
	if len(values) > 0 {
		s.and(column+inList, list(values))
	}
}

func (s *selection) between(column string, from, to time.Time) {
	if !from.IsZero() {
		s.and(column+" >= ?", instant(from))
	}
	if !to.IsZero() {
		s.and(column+" < ?", instant(to))
	}
}

func (s *selection) pageBy(at, id string, page payments.PageRequest) {
	after, direction := directions(page)
	if page.After != nil {
		s.and("("+at+", "+id+") "+after+" (?, ?)", instant(page.After.At), page.After.ID)
	}
	s.order = at + direction + ", " + id + direction
}

func (s *selection) pageBySequence(page payments.PageRequest) {
	after, direction := directions(page)
	if page.After != nil {
		s.and("seq "+after+" ?", page.After.Sequence)
	}
	s.order = "seq" + direction
}

func directions(page payments.PageRequest) (after, direction string) {
	if page.Ascending {
		return ">", " ASC"
	}
	return "<", " DESC"
}

func (s *selection) String() string {
	return s.text + " WHERE " + strings.Join(s.where, " AND ") + " ORDER BY " + s.order + " LIMIT ?"
}

// readPage asks for one more than the page holds, to know whether there is more.
func readPage[T any](ctx context.Context, s *Store, sel selection, limit int, scan func(scanner) (T, error)) (payments.Page[T], error) {
	items, err := readAll(ctx, s, sel, limit+1, scan)
	if err != nil {
		return payments.Page[T]{}, fmt.Errorf("read page: %w", err)
	}
	if len(items) > limit {
		return payments.Page[T]{Items: items[:limit], More: true}, nil
	}
	return payments.Page[T]{Items: items}, nil
}

func readAll[T any](ctx context.Context, s *Store, sel selection, limit int, scan func(scanner) (T, error)) ([]T, error) {
	if _, err := s.use(ctx); err != nil {
		return nil, err
	}
	rows, err := s.reader.QueryContext(ctx, sel.String(), append(sel.args, limit)...)
	if err != nil {
		return nil, err
	}
	var items []T
	err = eachRow(rows, func(row scanner) error {
		item, err := scan(row)
		items = append(items, item)
		return err
	})
	return items, err
}

// readOne reads the one row of an id, or payments.ErrNotFound.
func readOne[T any](ctx context.Context, s *Store, query string, id any, scan func(scanner) (T, error)) (T, error) {
	var none T
	if _, err := s.use(ctx); err != nil {
		return none, err
	}
	item, err := scan(s.reader.QueryRowContext(ctx, query, id))
	if errors.Is(err, sql.ErrNoRows) {
		return none, payments.ErrNotFound
	}
	return item, err
}

func names[E ~int32](names payments.Names[E], values []E) []string {
	list := make([]string, len(values))
	for i, value := range values {
		list[i] = names.Name(value)
	}
	return list
}
