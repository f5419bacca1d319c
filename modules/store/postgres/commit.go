package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
)

// Commit writes the changes in one transaction, or nothing: all statements go out
// together and commit when the last one is done, unless one of them fails. When
// ctx ends or the connection breaks before the answer is here, nobody knows.
func (s *Store) Commit(ctx context.Context, changes *payments.Changes) error {
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	if err := s.checkLeft(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := s.send(ctx, written(changes)); err != nil {
		return fmt.Errorf("commit: %w", classified(err))
	}
	return nil
}

// send runs a batch as one transaction: none is begun, so the server makes one
// of all that comes before it is asked to sync.
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

// written is what a commit sends. The orders come first, in the sequence of their
// ids: whoever changes an order or anything of it has to lock it there, so two
// writers cannot wait for each other, and the later one finds that it lost before
// it writes the rest.
func written(changes *payments.Changes) *pgx.Batch {
	batch := new(pgx.Batch)
	writeOrders.queue(batch, ordersOf(changes), len(changes.Aggregates))
	disputes := disputesOf(changes)
	writeDisputes.queue(batch, disputes, len(disputes))
	insertEvents.queue(batch, rowsOf(changes.Events))
	reviseEvents.queue(batch, rowsOf(changes.Revised), len(changes.Revised))
	settleLetters.queue(batch, settledOf(changes))
	putLetters.queue(batch, changes.DeadLetters)
	return batch
}

// ordersOf are the rows of the aggregates, and of the orders of events that came
// without one: events outside of every history, whose order may not be known.
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

func rowsOf(events []*payments.Event) []eventRow {
	rows := make([]eventRow, len(events))
	for i, e := range events {
		rows[i] = eventRow{e, store.SubjectOf(e)}
	}
	return rows
}

func settledOf(changes *payments.Changes) []settlementRow {
	rows := make([]settlementRow, len(changes.Settled))
	for i := range changes.Settled {
		rows[i] = &changes.Settled[i]
	}
	slices.SortFunc(rows, func(x, y settlementRow) int {
		return cmp.Or(cmp.Compare(x.Key.Provider, y.Key.Provider), cmp.Compare(x.Key.EventID, y.Key.EventID), slices.Compare(x.Digest[:], y.Digest[:]))
	})
	return rows
}
