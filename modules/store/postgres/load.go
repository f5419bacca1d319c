package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/payments"
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
	fields := []any{&key.Provider, &key.EventID, intoDigest{&recorded.Digest}, &recorded.InHistory}
	each(batch.Queue(selectRecorded, eventIDs, providers), fields, func() {
		if wanted[key] {
			into[key] = recorded
		}
	})
}

// queueAggregates reads the version of an order and its disputes in one statement,
// so that they are of one time: disputes that were too old for their version would
// be written back, and Commit would not notice.
func queueAggregates(batch *pgx.Batch, orderIDs []string, into map[string]*payments.Aggregate) {
	var a payments.Aggregate
	var d payments.Folded[payments.Dispute]
	fields := slices.Concat([]any{&a.OrderID, &a.Version}, orderFields(&a.Order.State), headFields(&a.Order.Head),
		disputeFields(&d.State), headFields(&d.Head))
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

// each has every row of a queued query scanned into the fields, and calls add
// after each of them.
func each(query *pgx.QueuedQuery, fields []any, add func()) {
	query.Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, fields, func() error {
			add()
			return nil
		})
		return err
	})
}

// History reads the events that the state of the orders is folded from.
func (s *Store) History(ctx context.Context, orderIDs []string) (map[string][]*payments.Event, error) {
	events, err := query(ctx, s, s.ledger, selectHistory, []any{orderIDs}, func(row pgx.CollectableRow) (*payments.Event, error) {
		e := new(payments.Event)
		return e, scanEvent(row, e)
	})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	history := make(map[string][]*payments.Event, len(orderIDs))
	for _, e := range events {
		id := e.Update.GetOrderId()
		history[id] = append(history[id], e)
	}
	return history, nil
}
