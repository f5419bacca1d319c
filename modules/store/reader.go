package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/payrelay/payrelay/modules/payments"
)

// Reader answers the queries of the API and of operators. Engines embed it.
type Reader struct {
	dialect Dialect
	query   Query
}

// Query runs a query of an engine and calls each for every row of the result. It
// returns the first error, including those that each returns.
type Query func(ctx context.Context, text string, args []any, each func(Row) error) error

// NewReader returns the Reader of an engine.
func NewReader(dialect Dialect, query Query) Reader { return Reader{dialect, query} }

// Orders reads one page of orders. Of two orders that two processes record at the same
// time, the one with the lower sequence may become visible later.
func (r Reader) Orders(ctx context.Context, q payments.OrderQuery) (payments.Page[payments.Order], error) {
	return readPage(ctx, r, r.dialect.Orders(q), q.Page, scanListedOrder)
}

// Order reads one order. The error is payments.ErrNotFound if it does not exist.
func (r Reader) Order(ctx context.Context, id string) (payments.Order, error) {
	order, err := readOne(ctx, r, r.dialect.order(id), scanOrder)
	if err != nil {
		return payments.Order{}, fmt.Errorf("read order %s: %w", id, err)
	}
	return order, nil
}

// Disputes reads one page of disputes, with sequences as those of orders.
func (r Reader) Disputes(ctx context.Context, q payments.DisputeQuery) (payments.Page[payments.Dispute], error) {
	return readPage(ctx, r, r.dialect.Disputes(q), q.Page, scanListedDispute)
}

// Dispute reads one dispute. The error is payments.ErrNotFound if it does not exist.
func (r Reader) Dispute(ctx context.Context, key payments.DisputeKey) (payments.Dispute, error) {
	dispute, err := readOne(ctx, r, r.dialect.dispute(key), scanDispute)
	if err != nil {
		return payments.Dispute{}, fmt.Errorf("read dispute %s of %s: %w", key.ID, key.Source, err)
	}
	return dispute, nil
}

// DisputesWith reads the disputes of all sources that have an id.
func (r Reader) DisputesWith(ctx context.Context, id string) ([]payments.Dispute, error) {
	disputes, err := readAll(ctx, r, r.dialect.disputesWith(id), scanDispute)
	if err != nil {
		return nil, fmt.Errorf("read disputes %s: %w", id, err)
	}
	return disputes, nil
}

// Events reads one page of recorded events, in the order in which they reached the
// database. Of two events that two processes write at the same time, the one with
// the lower sequence may become visible later.
func (r Reader) Events(ctx context.Context, q payments.EventQuery) (payments.Page[payments.RecordedEvent], error) {
	return readPage(ctx, r, r.dialect.Events(q), q.Page, scanRecorded)
}

// readPage reads what is selected, which is one item more than a page holds if
// there are more.
func readPage[T any](ctx context.Context, r Reader, s *Selection, page payments.PageRequest, scan func(Row) (T, error)) (payments.Page[T], error) {
	items, err := readAll(ctx, r, s, scan)
	switch {
	case err != nil:
		return payments.Page[T]{}, fmt.Errorf("read page: %w", err)
	case len(items) > page.Limit:
		return payments.Page[T]{Items: items[:page.Limit], More: true}, nil
	default:
		return payments.Page[T]{Items: items}, nil
	}
}

// readOne reads the only row that is selected.
func readOne[T any](ctx context.Context, r Reader, s *Selection, scan func(Row) (T, error)) (T, error) {
	var none T
	items, err := readAll(ctx, r, s, scan)
	switch {
	case err != nil:
		return none, err
	case len(items) == 0:
		return none, payments.ErrNotFound
	case len(items) > 1:
		return none, errors.New("more than one row")
	default:
		return items[0], nil
	}
}

func readAll[T any](ctx context.Context, r Reader, s *Selection, scan func(Row) (T, error)) (items []T, err error) {
	err = r.query(ctx, s.String(), s.Args, func(row Row) error {
		item, err := scan(row)
		items = append(items, item)
		return err
	})
	return items, err
}
