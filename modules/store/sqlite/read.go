package sqlite

import (
	"context"
	"database/sql"
	"fmt"
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
		Recorded: make(map[payments.Key]payments.Recorded),
		Orders:   make(map[string]*payments.Aggregate[payments.Order]),
		Disputes: make(map[payments.DisputeKey]*payments.Aggregate[payments.Dispute]),
	}
	if err := use.readRecorded(ctx, lookup.Keys, snapshot.Recorded); err != nil {
		return nil, fmt.Errorf("read recorded keys: %w", err)
	}
	if err := use.readOrders(ctx, lookup.Orders, snapshot.Orders); err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	if err := use.readDisputes(ctx, lookup.Disputes, snapshot.Disputes); err != nil {
		return nil, fmt.Errorf("read disputes: %w", err)
	}
	return snapshot, nil
}

// readRecorded selects the events with the ids, and skips those of other kinds than the
// lookup has.
func (st *statements) readRecorded(ctx context.Context, keys []payments.Key, into map[payments.Key]payments.Recorded) error {
	bySource, wanted := make(map[string][]string, 1), make(map[payments.Key]bool, len(keys))
	for _, key := range keys {
		wanted[key] = true
		bySource[key.Source] = append(bySource[key.Source], key.EventID)
	}
	for source, eventIDs := range bySource {
		complete := true
		err := each(ctx, st.recorded, func(row store.Row) error {
			key, r, hasFacts, err := store.ScanRecorded(row)
			if wanted[key] {
				into[key], complete = r, complete && hasFacts
			}
			return err
		}, source, list(eventIDs))
		if err == nil && !complete {
			err = each(ctx, st.withoutFacts, func(row store.Row) error { return store.AddFacts(row, into) }, source, list(eventIDs))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (st *statements) readOrders(ctx context.Context, ids []string, into map[string]*payments.Aggregate[payments.Order]) error {
	if len(ids) == 0 {
		return nil
	}
	return each(ctx, st.orders, func(row store.Row) error {
		a := new(payments.Aggregate[payments.Order])
		err := row.Scan(append([]any{&a.State.ID}, store.OrderAggregateFields(a)...)...)
		into[a.State.ID] = a
		return err
	}, list(ids))
}

func (st *statements) readDisputes(ctx context.Context, keys []payments.DisputeKey, into map[payments.DisputeKey]*payments.Aggregate[payments.Dispute]) error {
	for source, ids := range bySource(keys) {
		err := each(ctx, st.disputes, func(row store.Row) error {
			a := new(payments.Aggregate[payments.Dispute])
			err := row.Scan(store.DisputeAggregateFields(a)...)
			into[a.State.DisputeKey] = a
			return err
		}, source, list(ids))
		if err != nil {
			return err
		}
	}
	return nil
}

// bySource returns the ids of disputes by their source.
func bySource(keys []payments.DisputeKey) map[string][]string {
	ids := make(map[string][]string)
	for _, key := range keys {
		ids[key.Source] = append(ids[key.Source], key.ID)
	}
	return ids
}

// History reads the histories of orders and disputes.
func (s *Store) History(ctx context.Context, of payments.Subjects, limit int) (*payments.Histories, error) {
	use, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	read := &payments.Histories{Orders: make(map[string][]*payments.Event), Disputes: make(map[payments.DisputeKey][]*payments.Event)}
	for _, id := range of.Orders {
		events, err := use.readHistory(ctx, payments.Subject{Order: id}, time.Time{}, limit)
		if err != nil {
			return nil, fmt.Errorf("read the history of orders: %w", err)
		}
		if len(events) > 0 {
			read.Orders[id] = events
		}
	}
	for _, key := range of.Disputes {
		events, err := use.readHistory(ctx, payments.Subject{Dispute: key}, time.Time{}, limit)
		if err != nil {
			return nil, fmt.Errorf("read the history of disputes: %w", err)
		}
		if len(events) > 0 {
			read.Disputes[key] = events
		}
	}
	return read, nil
}

// HistoryPage reads a part of one history.
func (s *Store) HistoryPage(ctx context.Context, of payments.Subject, from time.Time, limit int) (*payments.HistoryPage, error) {
	use, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	return store.HistoryPage(from, limit, func(from time.Time, limit int) ([]*payments.Event, error) {
		return use.readHistory(ctx, of, from, limit)
	})
}

// readHistory reads the oldest events of a history whose time is not before from.
func (st *statements) readHistory(ctx context.Context, of payments.Subject, from time.Time, limit int) (events []*payments.Event, err error) {
	query, args := st.history, []any{of.Order}
	if of.Order == "" {
		query, args = st.disputeHistory, []any{of.Dispute.Source, of.Dispute.ID}
	}
	err = each(ctx, query, func(row store.Row) error {
		e := new(payments.Event)
		events = append(events, e)
		return store.ScanEvent(row, e)
	}, append(args, from.UnixMicro(), limit)...)
	return events, err
}

// Checkpoint reads the newest checkpoint of an order or dispute that is not after a
// time.
func (s *Store) Checkpoint(ctx context.Context, of payments.Subject, notAfter time.Time) (c *payments.Checkpoint, err error) {
	use, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	err = each(ctx, use.checkpoint, func(row store.Row) error {
		c = new(payments.Checkpoint)
		return row.Scan(store.CheckpointFields(c)...)
	}, of.Order, of.Dispute.Source, of.Dispute.ID, notAfter.UnixMicro())
	return c, err
}

// dialect passes lists as JSON.
var dialect = store.Dialect{
	Argument: "?",
	Among: func(column, argument string) string {
		return column + " IN (SELECT value FROM json_each(" + argument + "))"
	},
	OfOrders:       ofOrders,
	OldBody:        "NULL",
	Index:          func(name string) string { return " INDEXED BY " + name },
	SearchesLetter: func(argument string) string { return "instr(" + letterTexts + ", " + argument + ") > 0" },
	List:           func(values []string) any { return list(values) },
	Numbers:        func(values []int64) any { return list(values) },
	Time:           func(at time.Time) any { return instant(at) },
}

// letterTexts has the texts in which operators search, in small letters and one in each
// line. It is a column of the indexes dead_letters_open and dead_letters_settled.
const letterTexts = "lower(detail || char(10) || event_id || char(10) || order_id || char(10) || dispute_id)"

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
	return store.EachRow(rows, each)
}

func each(ctx context.Context, query *sql.Stmt, scan func(store.Row) error, args ...any) error {
	rows, err := query.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return store.EachRow(rows, scan)
}
