package postgres

import (
	"context"
	"fmt"

	"github.com/payrelay/payrelay/modules/payments"
)

// Orders reads one page of orders.
func (s *Store) Orders(ctx context.Context, q payments.OrderQuery) (payments.Page[payments.Order], error) {
	return readPage(ctx, s, dialect.Orders(q), q.Page, scanOrder)
}

// Order reads one order, or payments.ErrNotFound.
func (s *Store) Order(ctx context.Context, id string) (payments.Order, error) {
	order, err := readOne(ctx, s, dialect.Order(id), scanOrder)
	if err != nil {
		return payments.Order{}, fmt.Errorf("read order %s: %w", id, err)
	}
	return order, nil
}

// Disputes reads one page of disputes.
func (s *Store) Disputes(ctx context.Context, q payments.DisputeQuery) (payments.Page[payments.Dispute], error) {
	return readPage(ctx, s, dialect.Disputes(q), q.Page, scanDispute)
}

// Dispute reads one dispute, or payments.ErrNotFound.
func (s *Store) Dispute(ctx context.Context, id string) (payments.Dispute, error) {
	dispute, err := readOne(ctx, s, dialect.Dispute(id), scanDispute)
	if err != nil {
		return payments.Dispute{}, fmt.Errorf("read dispute %s: %w", id, err)
	}
	return dispute, nil
}

// Events reads one page of recorded events. Their sequence is that of their
// arrival at the database; of events that two processes write at the same time,
// the one with the lower number may be there later.
func (s *Store) Events(ctx context.Context, q payments.EventQuery) (payments.Page[payments.RecordedEvent], error) {
	return readPage(ctx, s, dialect.Events(q), q.Page, scanRecorded)
}
