package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
)

// Commit writes the changes in one transaction, or nothing. It waits for its turn
// until ctx ends; a transaction that has begun is finished, which takes
// milliseconds, so that its result is always known.
func (s *Store) Commit(ctx context.Context, changes *payments.Changes) error {
	use, err := s.use(ctx)
	if err != nil {
		return err
	}
	return s.transact(ctx, func(tx transaction) error { return tx.write(use, changes) })
}

func (s *Store) transact(ctx context.Context, do func(transaction) error) error {
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return fmt.Errorf("wait for the database: %w", err)
	}
	defer conn.Close()
	ctx = context.WithoutCancel(ctx)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", classified(err))
	}
	if err := do(transaction{ctx, tx}); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", classified(err))
	}
	return nil
}

// transaction runs statements with a context that does not end.
type transaction struct {
	ctx context.Context
	tx  *sql.Tx
}

// write writes the aggregates first, because most races show there, and because
// events refer to their orders.
func (tx transaction) write(use *statements, changes *payments.Changes) error {
	if err := tx.writeOrders(use, changes.Orders); err != nil {
		return fmt.Errorf("write orders: %w", err)
	}
	if err := tx.writeDisputes(use, changes.Disputes); err != nil {
		return fmt.Errorf("write disputes: %w", err)
	}
	if err := tx.writeEvents(use, changes); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	if err := tx.reviseEvents(use, changes.Revised); err != nil {
		return fmt.Errorf("revise events: %w", err)
	}
	if err := tx.settle(use, changes.Settled); err != nil {
		return fmt.Errorf("settle dead letters: %w", err)
	}
	if err := tx.writeDeadLetters(use, changes.DeadLetters); err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	if err := tx.writeCheckpoints(use, changes.Checkpoints); err != nil {
		return fmt.Errorf("write checkpoints: %w", err)
	}
	if err := tx.writeAudit(use, changes.Audit); err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	return nil
}

func (tx transaction) writeOrders(use *statements, orders []*payments.Aggregate[payments.Order]) error {
	insert, update := tx.with(use.insertOrder), tx.with(use.updateOrder)
	var values []any
	for _, a := range orders {
		values = append(appendOrder(values[:0], a), a.State.ID)
		write := insert
		if a.Version > 0 {
			write, values = update, append(values, a.Version)
		}
		if err := write.row(values...); err != nil {
			return err
		}
	}
	return nil
}

func (tx transaction) writeDisputes(use *statements, disputes []*payments.Aggregate[payments.Dispute]) error {
	insert, update := tx.with(use.insertDispute), tx.with(use.updateDispute)
	var values []any
	for _, a := range disputes {
		values = appendDispute(values[:0], a)
		write := insert
		if a.Version > 0 {
			write, values = update, append(values, a.Version)
		}
		if err := write.row(values...); err != nil {
			return err
		}
	}
	return nil
}

// writeEvents writes the events and their bodies. It also writes placeholders for orders that have events in the changes
// but no aggregate: every event needs a row of its order to refer to.
func (tx transaction) writeEvents(use *statements, changes *payments.Changes) error {
	written := make(map[string]bool, len(changes.Orders))
	for _, a := range changes.Orders {
		written[a.State.ID] = true
	}
	placeholder := tx.with(use.putPlaceholder)
	for _, e := range changes.Events {
		if id := e.Update.GetOrderId(); !written[id] {
			if _, err := placeholder.exec(id); err != nil {
				return err
			}
		}
	}
	insert, bodies := tx.with(use.insertEvent), bodyWriter{one: tx.with(use.insertBody), many: tx.with(use.insertBodies)}
	var values []any
	for _, e := range changes.Events {
		values = appendEvent(values[:0], e)
		seq, err := insert.id(values...)
		if err != nil {
			return err
		}
		if body := e.Update.GetRawBody(); len(body) > 0 {
			if err := bodies.add(seq, instant(e.RecordedAt), body); err != nil {
				return err
			}
		}
	}
	return bodies.flush()
}

// bodyWriter writes bodies, many with one statement: for a large batch that costs half
// of what a statement for each does.
type bodyWriter struct {
	one, many *bound
	values    []any
}

func (w *bodyWriter) add(row ...any) (err error) {
	if w.values = append(w.values, row...); len(w.values) == bodiesAtOnce*bodyColumns {
		_, err = w.many.exec(w.values...)
		w.values = w.values[:0]
	}
	return err
}

// flush writes the bodies that are left, one by one.
func (w *bodyWriter) flush() error {
	for row := range slices.Chunk(w.values, bodyColumns) {
		if _, err := w.one.exec(row...); err != nil {
			return err
		}
	}
	return nil
}

func (tx transaction) reviseEvents(use *statements, events []*payments.Event) error {
	revise := tx.with(use.reviseEvent)
	for _, e := range events {
		verdict, reason := payments.Verdicts.Name(e.Verdict), payments.DeadLetterReasons.Name(e.Reason)
		err := revise.row(verdict, reason, e.InHistory(), e.Forced, e.Discarded, e.Key.Source, e.Key.EventID, string(e.Key.Kind))
		if err != nil {
			return err
		}
	}
	return nil
}

// settle returns ErrRaced for a decision of an operator about a dead letter that is not
// open.
func (tx transaction) settle(use *statements, settled []payments.Settlement) error {
	settle := tx.with(use.settleDeadLetter)
	for _, s := range settled {
		settled, err := settle.exec(string(s.Resolution), instant(s.At), s.By, s.Why, s.Key.Source, s.Key.EventID, s.Digest[:])
		if err == nil && settled == 0 && s.Resolution != payments.Reapplied {
			err = payments.ErrRaced
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeDeadLetters opens dead letters, for the first time or again.
func (tx transaction) writeDeadLetters(use *statements, letters []*payments.DeadLetter) error {
	put := tx.with(use.putDeadLetter)
	for _, d := range letters {
		if _, err := put.exec(appendLetter(nil, d)...); err != nil {
			return err
		}
	}
	return nil
}

func (tx transaction) writeCheckpoints(use *statements, checkpoints []*payments.Checkpoints) error {
	for _, c := range checkpoints {
		order, source, dispute := c.Of.Order, c.Of.Dispute.Source, c.Of.Dispute.ID
		if c.Replace {
			if _, err := tx.with(use.deleteCheckpoints).exec(order, source, dispute, c.From.UnixMicro(), store.EndOf(c).UnixMicro()); err != nil {
				return err
			}
		}
		for _, n := range c.New {
			if _, err := tx.with(use.putCheckpoint).exec(order, source, dispute, n.Before.UnixMicro(), n.Rules, n.State); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx transaction) writeAudit(use *statements, entries []*payments.AuditEntry) error {
	insert := tx.with(use.insertAudit)
	for _, e := range entries {
		if _, err := insert.exec(appendAudit(nil, e)...); err != nil {
			return err
		}
	}
	return nil
}

// with returns a statement in the transaction.
func (tx transaction) with(stmt *sql.Stmt) *bound {
	return &bound{tx: tx, prepared: stmt}
}

// bound is a prepared statement in a transaction. It is bound on first use, because few
// commits need all statements.
type bound struct {
	tx             transaction
	prepared, stmt *sql.Stmt
}

// row writes one row. If no row is written, another writer was first.
func (b *bound) row(values ...any) error {
	written, err := b.exec(values...)
	if err == nil && written == 0 {
		return payments.ErrRaced
	}
	return err
}

// id inserts one row and returns its number.
func (b *bound) id(values ...any) (int64, error) {
	result, err := b.run(values)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

func (b *bound) exec(values ...any) (written int64, err error) {
	result, err := b.run(values)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (b *bound) run(values []any) (sql.Result, error) {
	if b.stmt == nil {
		b.stmt = b.tx.tx.StmtContext(b.tx.ctx, b.prepared)
	}
	result, err := b.stmt.ExecContext(b.tx.ctx, values...)
	return result, classified(err)
}
