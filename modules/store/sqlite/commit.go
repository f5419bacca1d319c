package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
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

// Discard settles a dead letter that does not matter. It does nothing if the dead
// letter is discarded already. It is an error if it was settled otherwise, or if it
// does not exist, which is payments.ErrNotFound.
func (s *Store) Discard(ctx context.Context, id int64, at time.Time) error {
	_, err := s.use(ctx)
	if err == nil {
		err = s.transact(ctx, func(tx transaction) error { return tx.discard(id, at) })
	}
	if err != nil {
		return fmt.Errorf("discard dead letter %d: %w", id, err)
	}
	return nil
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
	if err := tx.writeOrders(use, changes.Aggregates); err != nil {
		return fmt.Errorf("write orders: %w", err)
	}
	if err := tx.writeDisputes(use, changes.Aggregates); err != nil {
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
	return nil
}

func (tx transaction) writeOrders(use *statements, aggregates []*payments.Aggregate) error {
	insert, update := tx.with(use.insertOrder), tx.with(use.updateOrder)
	var values []any
	for _, a := range aggregates {
		values = appendHead(appendOrder(values[:0], a.Order.State), a.Order.Head)
		values = append(values, a.OrderID)
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

func (tx transaction) writeDisputes(use *statements, aggregates []*payments.Aggregate) error {
	put := tx.with(use.putDispute)
	var values []any
	for _, a := range aggregates {
		for _, d := range a.Disputes {
			values = appendHead(appendDispute(values[:0], d.State), d.Head)
			if err := put.row(values...); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeEvents also writes placeholders for orders that have events in the changes
// but no aggregate: an event outside of every history, whose order may not exist
// yet, needs a row to refer to.
func (tx transaction) writeEvents(use *statements, changes *payments.Changes) error {
	written := make(map[string]bool, len(changes.Aggregates))
	for _, a := range changes.Aggregates {
		written[a.OrderID] = true
	}
	placeholder := tx.with(use.putPlaceholder)
	for _, e := range changes.Events {
		if id := e.Update.GetOrderId(); !written[id] {
			if _, err := placeholder.exec(id); err != nil {
				return err
			}
		}
	}
	insert := tx.with(use.insertEvent)
	var values []any
	for _, e := range changes.Events {
		values = appendEvent(values[:0], e)
		if err := insert.row(values...); err != nil {
			return err
		}
	}
	return nil
}

func (tx transaction) reviseEvents(use *statements, events []*payments.Event) error {
	revise := tx.with(use.reviseEvent)
	for _, e := range events {
		verdict, reason := payments.Verdicts.Name(e.Verdict), payments.DeadLetterReasons.Name(e.Reason)
		if err := revise.row(verdict, reason, e.InHistory(), e.Key.Provider, e.Key.EventID); err != nil {
			return err
		}
	}
	return nil
}

func (tx transaction) settle(use *statements, settled []payments.Settlement) error {
	settle := tx.with(use.settleDeadLetter)
	for _, s := range settled {
		if _, err := settle.exec(string(s.Resolution), instant(s.At), s.Key.Provider, s.Key.EventID, s.Digest[:]); err != nil {
			return err
		}
	}
	return nil
}

// writeDeadLetters opens dead letters, for the first time or again. One that an
// operator has discarded stays discarded.
func (tx transaction) writeDeadLetters(use *statements, letters []*payments.DeadLetter) error {
	put := tx.with(use.putDeadLetter)
	for _, d := range letters {
		if _, err := put.exec(appendLetter(nil, d)...); err != nil {
			return err
		}
	}
	return nil
}

func (tx transaction) discard(id int64, at time.Time) error {
	var resolution payments.Resolution
	row := tx.tx.QueryRowContext(tx.ctx, "SELECT resolution FROM dead_letters WHERE id = ?", id)
	err := row.Scan(&resolution)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return payments.ErrNotFound
	case err != nil:
		return err
	}
	switch resolution {
	case payments.Discarded:
		return nil
	case "":
		_, err := tx.tx.ExecContext(tx.ctx, "UPDATE dead_letters SET resolution = ?, resolved_at = ? WHERE id = ?",
			string(payments.Discarded), instant(at), id)
		return err
	default:
		return fmt.Errorf("it was settled before: %s", resolution)
	}
}

// with returns a statement in the transaction.
func (tx transaction) with(stmt *sql.Stmt) bound {
	return bound{tx.ctx, tx.tx.StmtContext(tx.ctx, stmt)}
}

type bound struct {
	ctx  context.Context
	stmt *sql.Stmt
}

// row writes one row. If no row is written, another writer was first.
func (b bound) row(values ...any) error {
	written, err := b.exec(values...)
	if err == nil && written == 0 {
		return payments.ErrRaced
	}
	return err
}

func (b bound) exec(values ...any) (written int64, err error) {
	result, err := b.stmt.ExecContext(b.ctx, values...)
	if err != nil {
		return 0, classified(err)
	}
	return result.RowsAffected()
}
