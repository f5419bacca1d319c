package postgres

import (
	"context"
	"fmt"

	"github.com/payrelay/payrelay/modules/payments"
)

// Orders reads one page of orders.
func (s *Store) Orders(ctx context.Context, q payments.OrderQuery) (payments.Page[payments.Order], error) {
	return readPage(ctx, s, orderSelection(q), q.Page.Limit, scanOrder)
}

func orderSelection(q payments.OrderQuery) selection {
	sel := selection{text: selectOrders, where: []string{"status <> ''"}}
	sel.in("order_id", q.OrderIDs)
	sel.in("user_id", q.UserIDs)
	sel.in("status", names(payments.OrderStatuses, q.Statuses))
	sel.between("created_at", q.From, q.To)
	sel.pageBy("created_at", "order_id", q.Page)
	return sel
}

const selectOrders = "SELECT order_id, " + orderColumns + " FROM orders"

// Order reads one order, or payments.ErrNotFound.
func (s *Store) Order(ctx context.Context, id string) (payments.Order, error) {
	order, err := readOne(ctx, s, selectOrders+" WHERE order_id = $1 AND status <> ''", id, scanOrder)
	if err != nil {
		return payments.Order{}, fmt.Errorf("read order %s: %w", id, err)
	}
	return order, nil
}

// Disputes reads one page of disputes.
func (s *Store) Disputes(ctx context.Context, q payments.DisputeQuery) (payments.Page[payments.Dispute], error) {
	return readPage(ctx, s, disputeSelection(q), q.Page.Limit, scanDispute)
}

func disputeSelection(q payments.DisputeQuery) selection {
	sel := selection{text: selectDisputes, where: []string{"status <> ''"}}
	sel.in("dispute_id", q.DisputeIDs)
	sel.in("order_id", q.OrderIDs)
	sel.in("user_id", q.UserIDs)
	sel.in("status", names(payments.DisputeStatuses, q.Statuses))
	sel.between("opened_at", q.From, q.To)
	sel.pageBy("opened_at", "dispute_id", q.Page)
	return sel
}

const selectDisputes = "SELECT " + disputeColumns + " FROM disputes"

// Dispute reads one dispute, or payments.ErrNotFound.
func (s *Store) Dispute(ctx context.Context, id string) (payments.Dispute, error) {
	dispute, err := readOne(ctx, s, selectDisputes+" WHERE dispute_id = $1 AND status <> ''", id, scanDispute)
	if err != nil {
		return payments.Dispute{}, fmt.Errorf("read dispute %s: %w", id, err)
	}
	return dispute, nil
}

// Events reads one page of recorded events. Their sequence is that of their
// arrival at the database; of events that two processes write at the same time,
// the one with the lower number may be there later.
func (s *Store) Events(ctx context.Context, q payments.EventQuery) (payments.Page[payments.RecordedEvent], error) {
	return readPage(ctx, s, eventSelection(q), q.Page.Limit, scanRecorded)
}

func eventSelection(q payments.EventQuery) selection {
	subject := "dispute_id = ''"
	if q.Disputes {
		subject = "dispute_id <> ''"
	}
	sel := selection{text: "SELECT seq, " + eventColumns + " FROM events", where: []string{subject}}
	if len(q.OrderIDs) > 0 {
		sel.and(ofOrders(sel.arg(q.OrderIDs)))
	}
	sel.in("dispute_id", q.DisputeIDs)
	sel.in("user_id", q.UserIDs)
	sel.in("status", q.Kinds)
	sel.between("occurred_at", q.From, q.To)
	sel.pageBySequence(q.Page)
	return sel
}

// ofOrders selects the events of orders. The orders' numbers are read first, as
// one array, so that there is but one way to read the events.
func ofOrders(orderIDs string) string {
	return "order_ref = ANY(ARRAY(SELECT id FROM orders WHERE order_id = ANY(" + orderIDs + ")))"
}
