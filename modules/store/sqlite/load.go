package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/payrelay/payrelay/modules/payments"
)

// Load reads what a batch is judged against.
func (s *Store) Load(ctx context.Context, lookup payments.Lookup) (*payments.Snapshot, error) {
	use, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	snapshot := &payments.Snapshot{
		Recorded:      make(map[payments.Key]payments.Recorded),
		Aggregates:    make(map[string]*payments.Aggregate),
		DisputeOrders: make(map[string]string),
	}
	if err := use.readRecorded(ctx, lookup.Keys, snapshot.Recorded); err != nil {
		return nil, fmt.Errorf("read recorded keys: %w", err)
	}
	if err := use.readAggregates(ctx, lookup.OrderIDs, snapshot.Aggregates); err != nil {
		return nil, err
	}
	if err := use.readDisputeOrders(ctx, lookup.DisputeIDs, snapshot.DisputeOrders); err != nil {
		return nil, fmt.Errorf("read orders of disputes: %w", err)
	}
	return snapshot, nil
}

func (st *statements) readRecorded(ctx context.Context, keys []payments.Key, into map[payments.Key]payments.Recorded) error {
	byProvider := make(map[string][]string, 1)
	for _, key := range keys {
		byProvider[key.Provider] = append(byProvider[key.Provider], key.EventID)
	}
	for provider, eventIDs := range byProvider {
		err := each(ctx, st.recorded, func(row scanner) error {
			key, recorded := payments.Key{Provider: provider}, payments.Recorded{}
			if err := row.Scan(&key.EventID, intoDigest{&recorded.Digest}, &recorded.InHistory); err != nil {
				return err
			}
			into[key] = recorded
			return nil
		}, provider, list(eventIDs))
		if err != nil {
			return err
		}
	}
	return nil
}

// readAggregates reads the versions before the disputes. Should a commit come in
// between, the disputes are too new for their version, and Commit finds the
// race; the other way round nobody would.
func (st *statements) readAggregates(ctx context.Context, orderIDs []string, into map[string]*payments.Aggregate) error {
	var stored []string
	err := each(ctx, st.loadOrders, func(row scanner) error {
		a, err := scanAggregate(row)
		if err != nil {
			return err
		}
		into[a.OrderID] = a
		stored = append(stored, a.OrderID)
		return nil
	}, list(orderIDs))
	if err != nil {
		return fmt.Errorf("read orders: %w", err)
	}
	if len(stored) == 0 {
		return nil
	}
	err = each(ctx, st.loadDisputes, func(row scanner) error {
		var d payments.Folded[payments.Dispute]
		if err := row.Scan(append(disputeFields(&d.State), headFields(&d.Head)...)...); err != nil {
			return err
		}
		a := into[d.State.OrderID]
		a.Disputes = append(a.Disputes, d)
		return nil
	}, list(stored))
	if err != nil {
		return fmt.Errorf("read disputes of orders: %w", err)
	}
	return nil
}

func scanAggregate(row scanner) (*payments.Aggregate, error) {
	a := new(payments.Aggregate)
	fields := slices.Concat([]any{&a.OrderID, &a.Version}, orderFields(&a.Order.State), headFields(&a.Order.Head))
	if err := row.Scan(fields...); err != nil {
		return nil, err
	}
	a.Order.State.ID = a.OrderID
	return a, nil
}

func (st *statements) readDisputeOrders(ctx context.Context, disputeIDs []string, into map[string]string) error {
	if len(disputeIDs) == 0 {
		return nil
	}
	return each(ctx, st.disputeOrders, func(row scanner) error {
		var disputeID, orderID string
		if err := row.Scan(&disputeID, &orderID); err != nil {
			return err
		}
		into[disputeID] = orderID
		return nil
	}, list(disputeIDs))
}

// History reads the events that the state of the orders is folded from.
func (s *Store) History(ctx context.Context, orderIDs []string) (map[string][]*payments.Event, error) {
	use, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	history := make(map[string][]*payments.Event, len(orderIDs))
	err = each(ctx, use.history, func(row scanner) error {
		e := new(payments.Event)
		if err := scanEvent(row, e); err != nil {
			return err
		}
		orderID := e.Update.GetOrderId()
		history[orderID] = append(history[orderID], e)
		return nil
	}, list(orderIDs))
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return history, nil
}

// each runs a query and gives every row to scan.
func each(ctx context.Context, query *sql.Stmt, scan func(scanner) error, args ...any) error {
	rows, err := query.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

func eachRow(rows *sql.Rows, scan func(scanner) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
