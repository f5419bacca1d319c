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

// Load reads the stored data of a lookup in one round trip. A redelivery of an event of
// the first release needs a second one.
func (s *Store) Load(ctx context.Context, lookup payments.Lookup) (*payments.Snapshot, error) {
	snapshot := &payments.Snapshot{
		Recorded: make(map[payments.Key]payments.Recorded),
		Orders:   make(map[string]*payments.Aggregate[payments.Order]),
		Disputes: make(map[payments.DisputeKey]*payments.Aggregate[payments.Dispute]),
	}
	batch, complete := new(pgx.Batch), true
	if len(lookup.Keys) > 0 {
		queueRecorded(batch, lookup.Keys, snapshot.Recorded, &complete)
	}
	if len(lookup.Orders) > 0 {
		queueOrders(batch, lookup.Orders, snapshot.Orders)
	}
	if len(lookup.Disputes) > 0 {
		queueDisputes(batch, lookup.Disputes, snapshot.Disputes)
	}
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	if err := s.send(ctx, batch); err != nil {
		return nil, fmt.Errorf("load: %w", classified(err))
	}
	if !complete {
		_, eventIDs, sources := eventColumns(lookup.Keys)
		err := s.query(ctx, s.ledger, s.first.ledger, selectWithoutFacts, []any{eventIDs, sources}, func(row store.Row) error {
			return store.AddFacts(row, snapshot.Recorded)
		})
		if err != nil {
			return nil, fmt.Errorf("load events of the first release: %w", err)
		}
	}
	return snapshot, nil
}

// queueRecorded queues the query of the recorded events. It sets complete to false if one of
// them has no facts.
func queueRecorded(batch *pgx.Batch, keys []payments.Key, into map[payments.Key]payments.Recorded, complete *bool) {
	wanted, eventIDs, sources := eventColumns(keys)
	each(batch.Queue(selectRecorded, eventIDs, sources), func(row store.Row) error {
		key, r, hasFacts, err := store.ScanRecorded(row)
		if wanted[key] {
			into[key], *complete = r, *complete && hasFacts
		}
		return err
	})
}

func eventColumns(keys []payments.Key) (wanted map[payments.Key]bool, ids, sources []string) {
	return columnsOf(keys, func(k payments.Key) (id, source string) { return k.EventID, k.Source })
}

func queueOrders(batch *pgx.Batch, ids []string, into map[string]*payments.Aggregate[payments.Order]) {
	each(batch.Queue(selectOrders, ids), func(row store.Row) error {
		a := new(payments.Aggregate[payments.Order])
		err := row.Scan(append([]any{&a.State.ID}, store.OrderAggregateFields(a)...)...)
		into[a.State.ID] = a
		return err
	})
}

func queueDisputes(batch *pgx.Batch, keys []payments.DisputeKey, into map[payments.DisputeKey]*payments.Aggregate[payments.Dispute]) {
	wanted, ids, sources := disputeColumns(keys)
	each(batch.Queue(selectDisputes, ids, sources), func(row store.Row) error {
		a := new(payments.Aggregate[payments.Dispute])
		err := row.Scan(store.DisputeAggregateFields(a)...)
		if key := a.State.DisputeKey; wanted[key] {
			into[key] = a
		}
		return err
	})
}

// History reads the histories of orders and disputes in one round trip.
func (s *Store) History(ctx context.Context, of payments.Subjects, limit int) (*payments.Histories, error) {
	read := &payments.Histories{Orders: make(map[string][]*payments.Event), Disputes: make(map[payments.DisputeKey][]*payments.Event)}
	batch := new(pgx.Batch)
	if len(of.Orders) > 0 {
		each(batch.Queue(selectHistory, of.Orders, limit), func(row store.Row) error {
			e := new(payments.Event)
			err := store.ScanEvent(row, e)
			id := e.Update.GetOrderId()
			read.Orders[id] = append(read.Orders[id], e)
			return err
		})
	}
	if len(of.Disputes) > 0 {
		ids, sources := make([]string, len(of.Disputes)), make([]string, len(of.Disputes))
		for i, key := range of.Disputes {
			ids[i], sources[i] = key.ID, key.Source
		}
		each(batch.Queue(selectDisputeHistory, ids, sources, limit), func(row store.Row) error {
			e := new(payments.Event)
			err := store.ScanEvent(row, e)
			read.Disputes[e.Dispute()] = append(read.Disputes[e.Dispute()], e)
			return err
		})
	}
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	if err := s.send(ctx, batch); err != nil {
		return nil, fmt.Errorf("read history: %w", classified(err))
	}
	return read, nil
}

// HistoryPage reads a part of one history.
func (s *Store) HistoryPage(ctx context.Context, of payments.Subject, from time.Time, limit int) (*payments.HistoryPage, error) {
	return store.HistoryPage(from, limit, func(from time.Time, limit int) (events []*payments.Event, err error) {
		query, args := selectPage, []any{of.Order, from, limit}
		if of.Order == "" {
			query, args = selectDisputePage, []any{of.Dispute.ID, of.Dispute.Source, from, limit}
		}
		err = s.query(ctx, s.ledger, s.first.ledger, query, args, func(row store.Row) error {
			e := new(payments.Event)
			events = append(events, e)
			return store.ScanEvent(row, e)
		})
		return events, err
	})
}

// Checkpoint reads the newest checkpoint of an order or dispute that is not after a
// time.
func (s *Store) Checkpoint(ctx context.Context, of payments.Subject, notAfter time.Time) (c *payments.Checkpoint, err error) {
	args := []any{of.Order, of.Dispute.Source, of.Dispute.ID, notAfter}
	err = s.query(ctx, s.ledger, s.first.ledger, selectCheckpoint, args, func(row store.Row) error {
		c = new(payments.Checkpoint)
		return row.Scan(store.CheckpointFields(c)...)
	})
	return c, err
}

func disputeColumns(keys []payments.DisputeKey) (wanted map[payments.DisputeKey]bool, ids, sources []string) {
	return columnsOf(keys, func(k payments.DisputeKey) (id, source string) { return k.ID, k.Source })
}

// columnsOf returns the set of keys, their ids, and their distinct sources.
func columnsOf[K comparable](keys []K, split func(K) (id, source string)) (wanted map[K]bool, ids, sources []string) {
	wanted, ids = make(map[K]bool, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		var source string
		wanted[key] = true
		if ids[i], source = split(key); !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	return wanted, ids, sources
}

// each calls scan for every row of a queued query.
func each(query *pgx.QueuedQuery, scan func(store.Row) error) {
	query.Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

var dialect = store.Dialect{
	Argument:       "$",
	Among:          func(column, argument string) string { return column + " = ANY(" + argument + ")" },
	OfOrders:       ofOrders,
	OldBody:        "events.body",
	Index:          func(string) string { return "" },
	SearchesLetter: func(argument string) string { return "strpos(search, " + argument + ") > 0" },
	List:           func(values []string) any { return values },
	Numbers:        func(values []int64) any { return values },
	Time:           func(at time.Time) any { return at },
}

// ofOrders selects the numbers of the orders first, as one array, which leaves the
// planner only one way to read the events: by their index.
func ofOrders(argument string) string {
	return "order_ref = ANY(ARRAY(SELECT id FROM orders WHERE order_id = ANY(" + argument + ")))"
}

// query runs a query on a pool, after the statement first if it is not empty, and calls
// scan for every row.
func (s *Store) query(ctx context.Context, pool *pgxpool.Pool, first, text string, args []any, scan func(store.Row) error) error {
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if first != "" {
		batch := new(pgx.Batch)
		batch.Queue(first)
		each(batch.Queue(text, args...), scan)
		err := pool.SendBatch(ctx, batch).Close()
		s.leaveStandby(err)
		return classified(s.explained(ctx, err))
	}
	rows, err := pool.Query(ctx, text, args...)
	if err != nil {
		return classified(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	s.leaveStandby(rows.Err())
	return classified(rows.Err())
}
