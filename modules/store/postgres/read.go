package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
)

// Load reads what a batch is judged against, in one round trip.
func (s *Store) Load(ctx context.Context, lookup payments.Lookup) (*payments.Snapshot, error) {
	snapshot := &payments.Snapshot{
		Recorded:      make(map[payments.Key]payments.Recorded),
		Aggregates:    make(map[string]*payments.Aggregate),
		DisputeOrders: make(map[string]string),
	}
	batch := new(pgx.Batch)
	if len(lookup.Keys) > 0 {
		queueRecorded(batch, lookup.Keys, snapshot.Recorded)
	}
	if len(lookup.OrderIDs) > 0 {
		queueAggregates(batch, lookup.OrderIDs, snapshot.Aggregates)
	}
	if len(lookup.DisputeIDs) > 0 {
		queueOwners(batch, lookup.DisputeIDs, snapshot.DisputeOrders)
	}
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	if err := s.send(ctx, batch); err != nil {
		return nil, fmt.Errorf("load: %w", classified(err))
	}
	return snapshot, nil
}

func queueRecorded(batch *pgx.Batch, keys []payments.Key, into map[payments.Key]payments.Recorded) {
	wanted := make(map[payments.Key]bool, len(keys))
	eventIDs := make([]string, len(keys))
	var providers []string
	for i, key := range keys {
		wanted[key] = true
		eventIDs[i] = key.EventID
		if !slices.Contains(providers, key.Provider) {
			providers = append(providers, key.Provider)
		}
	}
	var key payments.Key
	var recorded payments.Recorded
	fields := []any{&key.Provider, &key.EventID, store.DigestField(&recorded.Digest), &recorded.InHistory}
	each(batch.Queue(selectRecorded, eventIDs, providers), fields, func() {
		if wanted[key] {
			into[key] = recorded
		}
	})
}

// queueAggregates reads the version of an order and its disputes in one statement,
// so that both are of the same moment. Disputes older than the version would be
// written back, and Commit would not detect it.
func queueAggregates(batch *pgx.Batch, orderIDs []string, into map[string]*payments.Aggregate) {
	var a payments.Aggregate
	var d payments.Folded[payments.Dispute]
	fields := slices.Concat([]any{&a.OrderID, &a.Version}, store.OrderFields(&a.Order.State), store.HeadFields(&a.Order.Head),
		store.DisputeFields(&d.State), store.HeadFields(&d.Head))
	each(batch.Queue(selectAggregates, orderIDs), fields, func() {
		if into[a.OrderID] == nil {
			read := a
			read.Order.State.ID = a.OrderID
			into[a.OrderID] = &read
		}
		if d.State.ID != "" {
			into[a.OrderID].Disputes = append(into[a.OrderID].Disputes, d)
		}
	})
}

func queueOwners(batch *pgx.Batch, disputeIDs []string, into map[string]string) {
	var disputeID, orderID string
	each(batch.Queue(selectOwners, disputeIDs), []any{&disputeID, &orderID}, func() {
		into[disputeID] = orderID
	})
}

// each scans every row of a queued query into the fields, and calls add after each.
func each(query *pgx.QueuedQuery, fields []any, add func()) {
	query.Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, fields, func() error {
			add()
			return nil
		})
		return err
	})
}

// History reads the events from which the state of the orders is folded.
func (s *Store) History(ctx context.Context, orderIDs []string) (map[string][]*payments.Event, error) {
	history := make(map[string][]*payments.Event, len(orderIDs))
	err := s.query(ctx, s.ledger, selectHistory, []any{orderIDs}, func(row store.Row) error {
		e := new(payments.Event)
		if err := store.ScanEvent(row, e); err != nil {
			return err
		}
		id := e.Update.GetOrderId()
		history[id] = append(history[id], e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return history, nil
}

var dialect = store.Dialect{
	Argument: "$",
	Among:    func(column, argument string) string { return column + " = ANY(" + argument + ")" },
	OfOrders: ofOrders,
	List:     func(values []string) any { return values },
	Time:     func(at time.Time) any { return at },
}

// ofOrders selects the numbers of the orders first, as one array, which leaves the
// planner only one way to read the events: by their index.
func ofOrders(argument string) string {
	return "order_ref = ANY(ARRAY(SELECT id FROM orders WHERE order_id = ANY(" + argument + ")))"
}

// query runs a query on a pool and calls each for every row.
func (s *Store) query(ctx context.Context, pool *pgxpool.Pool, text string, args []any, each func(store.Row) error) error {
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := pool.Query(ctx, text, args...)
	if err != nil {
		return classified(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	s.leaveStandby(rows.Err())
	return classified(rows.Err())
}
