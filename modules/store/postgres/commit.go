package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
)

// Commit writes the changes in one transaction, or nothing. All statements are sent
// together and committed with the last one, unless one of them fails. If ctx ends or
// the connection breaks before the answer has arrived, the result is not known.
func (s *Store) Commit(ctx context.Context, changes *payments.Changes) error {
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	if err := s.checkAbandoned(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := s.send(ctx, batchOf(changes)); err != nil {
		return fmt.Errorf("commit: %w", classified(err))
	}
	return nil
}

// send runs a batch as one transaction. There is no BEGIN: the server makes one
// transaction of everything that precedes the Sync message.
func (s *Store) send(ctx context.Context, batch *pgx.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := ctx.Err(); err != nil || batch.Len() == 0 {
		return err
	}
	err := s.ledger.SendBatch(ctx, batch).Close()
	s.leaveStandby(err)
	return err
}

// batchOf returns the statements of a commit. The orders are the first, in the order
// of their ids: every writer that changes an order, or something that belongs to it,
// has to lock it there. So two writers cannot deadlock, and the later one finds out
// that it has lost before it writes the rest.
func batchOf(changes *payments.Changes) *pgx.Batch {
	batch := new(pgx.Batch)
	writeOrders.queue(batch, ordersOf(changes), len(changes.Aggregates))
	disputes := disputesOf(changes)
	writeDisputes.queue(batch, disputes, len(disputes))
	insertEvents.queue(batch, eventsOf(changes.Events))
	reviseEvents.queue(batch, eventsOf(changes.Revised), len(changes.Revised))
	settleLetters.queue(batch, settlementsOf(changes))
	putLetters.queue(batch, changes.DeadLetters)
	return batch
}

// ordersOf returns the rows of the aggregates, and those of the orders of events
// without an aggregate: an event outside of every history, whose order may not exist
// yet, has a row to refer to.
func ordersOf(changes *payments.Changes) []orderRow {
	rows := make(map[string]orderRow, len(changes.Aggregates))
	for _, e := range changes.Events {
		id := e.Update.GetOrderId()
		rows[id] = orderRow{id: id}
	}
	for _, a := range changes.Aggregates {
		rows[a.OrderID] = orderRow{a.OrderID, a.Version + 1, a.Order}
	}
	return slices.SortedFunc(maps.Values(rows), func(x, y orderRow) int { return cmp.Compare(x.id, y.id) })
}

func disputesOf(changes *payments.Changes) []disputeRow {
	var rows []disputeRow
	for _, a := range changes.Aggregates {
		rows = append(rows, a.Disputes...)
	}
	slices.SortFunc(rows, func(x, y disputeRow) int { return cmp.Compare(x.State.ID, y.State.ID) })
	return rows
}

func eventsOf(events []*payments.Event) []eventRow {
	rows := make([]eventRow, len(events))
	for i, e := range events {
		rows[i] = eventRow{e, store.SubjectOf(e)}
	}
	return rows
}

func settlementsOf(changes *payments.Changes) []settlementRow {
	rows := make([]settlementRow, len(changes.Settled))
	for i := range changes.Settled {
		rows[i] = &changes.Settled[i]
	}
	slices.SortFunc(rows, func(x, y settlementRow) int {
		return cmp.Or(cmp.Compare(x.Key.Provider, y.Key.Provider), cmp.Compare(x.Key.EventID, y.Key.EventID), slices.Compare(x.Digest[:], y.Digest[:]))
	})
	return rows
}

// Discard settles a dead letter that does not matter. It does nothing if the dead
// letter is discarded already. It is an error if it was settled otherwise, or if it
// does not exist, which is payments.ErrNotFound.
func (s *Store) Discard(ctx context.Context, id int64, at time.Time) error {
	discarded := false
	err := s.query(ctx, s.reader, discardLetter, []any{id, at}, func(store.Row) error {
		discarded = true
		return nil
	})
	if err == nil && !discarded {
		var letter *payments.DeadLetter
		if letter, err = s.DeadLetter(ctx, id); err == nil {
			err = fmt.Errorf("it was settled before: %s", letter.Resolution)
		}
	}
	if err != nil {
		return fmt.Errorf("discard dead letter %d: %w", id, err)
	}
	return nil
}
