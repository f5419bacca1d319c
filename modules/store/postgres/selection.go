package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
)

var dialect = store.Dialect{
	Argument: "$",
	Among:    func(column, place string) string { return column + " = ANY(" + place + ")" },
	OfOrders: ofOrders,
	List:     func(values []string) any { return values },
	Time:     func(at time.Time) any { return at },
}

// ofOrders reads the orders' numbers first, as one array, so that there is but one
// way to read the events.
func ofOrders(place string) string {
	return "order_ref = ANY(ARRAY(SELECT id FROM orders WHERE order_id = ANY(" + place + ")))"
}

func readPage[T any](ctx context.Context, s *Store, sel *store.Selection, page payments.PageRequest, scan pgx.RowToFunc[T]) (payments.Page[T], error) {
	items, err := readAll(ctx, s, sel, scan)
	if err != nil {
		return payments.Page[T]{}, fmt.Errorf("read page: %w", err)
	}
	return store.PageOf(items, page.Limit), nil
}

func readAll[T any](ctx context.Context, s *Store, sel *store.Selection, scan pgx.RowToFunc[T]) ([]T, error) {
	return query(ctx, s, s.reader, sel.String(), sel.Args, scan)
}

// readOne reads the only row that is selected, or payments.ErrNotFound.
func readOne[T any](ctx context.Context, s *Store, sel *store.Selection, scan pgx.RowToFunc[T]) (T, error) {
	var none T
	items, err := readAll(ctx, s, sel, scan)
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
	s.leaveStandby(err)
	return items, classified(err)
}
