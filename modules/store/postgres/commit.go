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
	queueFirst(batch, s.first.ledger)
	err := s.ledger.SendBatch(ctx, batch).Close()
	s.leaveStandby(err)
	return s.explained(ctx, err)
}

// batchOf returns the statements of a commit. Orders are written first and disputes
// second, sorted by key. All writers lock them in this order, so two writers cannot
// deadlock, and a writer that lost a race fails before it writes the rest.
func batchOf(changes *payments.Changes) *pgx.Batch {
	batch := new(pgx.Batch)
	writeOrders.queue(batch, ordersOf(changes), len(changes.Orders))
	writeDisputes.queue(batch, changes.Disputes, len(changes.Disputes))
	insertEvents.queue(batch, eventsOf(changes.Events))
	reviseEvents.queue(batch, eventsOf(changes.Revised), len(changes.Revised))
	settleLetters.queue(batch, settlementsOf(changes), decisionsIn(changes))
	putLetters.queue(batch, changes.DeadLetters)
	for _, c := range changes.Checkpoints {
		queueCheckpoints(batch, c)
	}
	writeAudit.queue(batch, changes.Audit)
	return batch
}

func queueCheckpoints(batch *pgx.Batch, c *payments.Checkpoints) {
	order, source, dispute := c.Of.Order, c.Of.Dispute.Source, c.Of.Dispute.ID
	if c.Replace {
		batch.Queue(deleteCheckpoints, order, source, dispute, c.From, store.EndOf(c))
	}
	if len(c.New) == 0 {
		return
	}
	times, rules, states := make([]time.Time, len(c.New)), make([]int16, len(c.New)), make([]string, len(c.New))
	for i, n := range c.New {
		times[i], rules[i], states[i] = n.Before, int16(n.Rules), n.State
	}
	batch.Queue(putCheckpoints, order, source, dispute, times, rules, states)
}

// ordersOf returns the rows of the orders, and placeholders for the orders of events
// without an aggregate, which may not exist yet: every event needs a row of its order
// to refer to.
func ordersOf(changes *payments.Changes) []orderRow {
	rows := make(map[string]orderRow, len(changes.Orders))
	for _, e := range changes.Events {
		id := e.Update.GetOrderId()
		rows[id] = orderRow{id: id, Aggregate: placeholder}
	}
	for _, a := range changes.Orders {
		rows[a.State.ID] = orderRow{a.State.ID, a.Version + 1, a}
	}
	return slices.SortedFunc(maps.Values(rows), func(x, y orderRow) int { return cmp.Compare(x.id, y.id) })
}

var placeholder = new(payments.Aggregate[payments.Order])

func eventsOf(events []*payments.Event) []eventRow {
	rows := make([]eventRow, len(events))
	for i, e := range events {
		rows[i] = eventRow{e, store.SubjectOf(e)}
	}
	return rows
}

// decisionsIn returns the number of dead letters that an operator settles.
func decisionsIn(changes *payments.Changes) (n int) {
	for _, s := range changes.Settled {
		if s.Resolution != payments.Reapplied {
			n++
		}
	}
	return n
}

func settlementsOf(changes *payments.Changes) []settlementRow {
	rows := make([]settlementRow, len(changes.Settled))
	for i := range changes.Settled {
		rows[i] = &changes.Settled[i]
	}
	slices.SortFunc(rows, func(x, y settlementRow) int {
		return cmp.Or(cmp.Compare(x.Key.Source, y.Key.Source), cmp.Compare(x.Key.EventID, y.Key.EventID), slices.Compare(x.Digest[:], y.Digest[:]))
	})
	return rows
}
