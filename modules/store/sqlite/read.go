package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
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
	if err := use.readOwners(ctx, lookup.DisputeIDs, snapshot.DisputeOrders); err != nil {
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
		err := each(ctx, st.recorded, func(row store.Row) error {
			key, recorded := payments.Key{Provider: provider}, payments.Recorded{}
			if err := row.Scan(&key.EventID, store.DigestField(&recorded.Digest), &recorded.InHistory); err != nil {
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

// readAggregates reads the versions of orders before their disputes. If a commit
// comes in between, the disputes are newer than the version, and Commit detects the
// race. The other way round it would go unnoticed.
func (st *statements) readAggregates(ctx context.Context, orderIDs []string, into map[string]*payments.Aggregate) error {
	var stored []string
	err := each(ctx, st.orders, func(row store.Row) error {
		a := new(payments.Aggregate)
		fields := slices.Concat([]any{&a.OrderID, &a.Version}, store.OrderFields(&a.Order.State), store.HeadFields(&a.Order.Head))
		if err := row.Scan(fields...); err != nil {
			return err
		}
		a.Order.State.ID = a.OrderID
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
	err = each(ctx, st.disputes, func(row store.Row) error {
		var d payments.Folded[payments.Dispute]
		if err := row.Scan(append(store.DisputeFields(&d.State), store.HeadFields(&d.Head)...)...); err != nil {
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

func (st *statements) readOwners(ctx context.Context, disputeIDs []string, into map[string]string) error {
	if len(disputeIDs) == 0 {
		return nil
	}
	return each(ctx, st.owners, func(row store.Row) error {
		var disputeID, orderID string
		if err := row.Scan(&disputeID, &orderID); err != nil {
			return err
		}
		into[disputeID] = orderID
		return nil
	}, list(disputeIDs))
}

// History reads the events from which the state of the orders is folded.
func (s *Store) History(ctx context.Context, orderIDs []string) (map[string][]*payments.Event, error) {
	use, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	history := make(map[string][]*payments.Event, len(orderIDs))
	err = each(ctx, use.history, func(row store.Row) error {
		e := new(payments.Event)
		if err := store.ScanEvent(row, e); err != nil {
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

// dialect passes lists as JSON.
var dialect = store.Dialect{
	Argument: "?",
	Among: func(column, argument string) string {
		return column + " IN (SELECT value FROM json_each(" + argument + "))"
	},
	OfOrders: ofOrders,
	List:     func(values []string) any { return list(values) },
	Time:     func(at time.Time) any { return instant(at) },
}

func ofOrders(argument string) string {
	return "order_ref IN (SELECT id FROM orders WHERE order_id IN (SELECT value FROM json_each(" + argument + ")))"
}

// query is the store.Query of this engine.
func (s *Store) query(ctx context.Context, text string, args []any, each func(store.Row) error) error {
	if _, err := s.use(ctx); err != nil {
		return err
	}
	rows, err := s.reader.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, each)
}

func each(ctx context.Context, query *sql.Stmt, scan func(store.Row) error, args ...any) error {
	rows, err := query.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

func eachRow(rows *sql.Rows, scan func(store.Row) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
