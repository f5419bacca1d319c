package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
)

// dialect has lists as JSON.
var dialect = store.Dialect{
	Argument: "?",
	Among:    func(column, place string) string { return column + " IN (SELECT value FROM json_each(" + place + "))" },
	OfOrders: ofOrders,
	List:     func(values []string) any { return list(values) },
	Time:     func(at time.Time) any { return instant(at) },
}

func ofOrders(place string) string {
	return "order_ref IN (SELECT id FROM orders WHERE order_id IN (SELECT value FROM json_each(" + place + ")))"
}

func readPage[T any](ctx context.Context, s *Store, sel *store.Selection, page payments.PageRequest, scan func(scanner) (T, error)) (payments.Page[T], error) {
	items, err := readAll(ctx, s, sel, scan)
	if err != nil {
		return payments.Page[T]{}, fmt.Errorf("read page: %w", err)
	}
	return store.PageOf(items, page.Limit), nil
}

func readAll[T any](ctx context.Context, s *Store, sel *store.Selection, scan func(scanner) (T, error)) ([]T, error) {
	if _, err := s.use(ctx); err != nil {
		return nil, err
	}
	rows, err := s.reader.QueryContext(ctx, sel.String(), sel.Args...)
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

// readOne reads the only row that is selected, or payments.ErrNotFound.
func readOne[T any](ctx context.Context, s *Store, sel *store.Selection, scan func(scanner) (T, error)) (T, error) {
	var none T
	if _, err := s.use(ctx); err != nil {
		return none, err
	}
	item, err := scan(s.reader.QueryRowContext(ctx, sel.String(), sel.Args...))
	if errors.Is(err, sql.ErrNoRows) {
		return none, payments.ErrNotFound
	}
	return item, err
}
