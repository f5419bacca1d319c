package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/payrelay/payrelay/modules/store"
)

// statements are those of the ledger's way, prepared once.
type statements struct {
	recorded, loadOrders, loadDisputes, disputeOrders, history *sql.Stmt

	insertOrder, updateOrder, noteOrder, putDispute, insertEvent, reviseEvent,
	putDeadLetter, settle *sql.Stmt
}

// The columns in the sequence of the arguments and scans that go with them.
const (
	orderColumns   = store.OrderColumns
	disputeColumns = store.DisputeColumns
	headColumns    = store.HeadColumns
	eventColumns   = store.EventColumns
	letterColumns  = store.LetterColumns

	inList = " IN (SELECT value FROM json_each(?))"
)

// use gives the prepared statements. It prepares them on the first use, because
// the tables may have to be migrated first.
func (s *Store) use(ctx context.Context) (*statements, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prepared != nil {
		return s.prepared, nil
	}
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	prepared, err := prepare(ctx, s.writer)
	if err != nil {
		return nil, err
	}
	s.prepared = prepared
	return prepared, nil
}

func prepare(ctx context.Context, db *sql.DB) (*statements, error) {
	p := new(statements)
	for _, s := range p.texts() {
		stmt, err := db.PrepareContext(ctx, s.text)
		if err != nil {
			return nil, fmt.Errorf("prepare %q: %w", s.text, err)
		}
		*s.stmt = stmt
	}
	return p, nil
}

// statementText says what a statement is to be prepared from.
type statementText struct {
	stmt **sql.Stmt
	text string
}

func (p *statements) texts() []statementText {
	return []statementText{
		{&p.recorded, `SELECT event_id, digest, in_history FROM events WHERE provider = ? AND event_id` + inList},
		{&p.loadOrders, `SELECT order_id, version, ` + orderColumns + `, ` + headColumns + ` FROM orders WHERE version > 0 AND order_id` + inList},
		{&p.loadDisputes, `SELECT ` + disputeColumns + `, ` + headColumns + ` FROM disputes WHERE order_id` + inList},
		{&p.disputeOrders, `SELECT dispute_id, order_id FROM disputes WHERE dispute_id` + inList},
		{&p.history, `SELECT ` + eventColumns + ` FROM events WHERE in_history = 1 AND ` + ofOrders("?")},

		{&p.insertOrder, `INSERT INTO orders (` + orderColumns + `, ` + headColumns + `, order_id, version)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
			ON CONFLICT (order_id) DO UPDATE SET version = 1, (` + orderColumns + `, ` + headColumns + `) =
			(excluded.status, excluded.user_id, excluded.amount, excluded.currency, excluded.created_at, excluded.updated_at,
			excluded.head_at, excluded.head_rank, excluded.head_event_id) WHERE version = 0`},
		{&p.updateOrder, `UPDATE orders SET version = version + 1, (` + orderColumns + `, ` + headColumns + `) =
			(?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE order_id = ? AND version = ?`},
		{&p.noteOrder, `INSERT INTO orders (order_id, version, ` + orderColumns + `, ` + headColumns + `)
			VALUES (?, 0, '', '', 0, '', NULL, NULL, NULL, 0, '') ON CONFLICT (order_id) DO NOTHING`},
		{&p.putDispute, `INSERT INTO disputes (` + disputeColumns + `, ` + headColumns + `)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (dispute_id) DO UPDATE SET status = excluded.status, user_id = excluded.user_id,
			reason = excluded.reason, amount = excluded.amount, currency = excluded.currency,
			opened_at = excluded.opened_at, updated_at = excluded.updated_at, evidence_due_at = excluded.evidence_due_at,
			head_at = excluded.head_at, head_rank = excluded.head_rank, head_event_id = excluded.head_event_id
			WHERE order_id = excluded.order_id`},
		{&p.insertEvent, `INSERT INTO events (` + eventColumns + `, in_history, body, order_ref)
			VALUES (?, ?, ?3, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT id FROM orders WHERE order_id = ?3))`},
		{&p.reviseEvent, `UPDATE events SET verdict = ?, dead_letter_reason = ?, in_history = ? WHERE provider = ? AND event_id = ?`},
		{&p.putDeadLetter, `INSERT INTO dead_letters (` + letterColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', NULL)
			ON CONFLICT (provider, event_id, digest) DO UPDATE SET reason = excluded.reason, detail = excluded.detail,
			order_id = excluded.order_id, dispute_id = excluded.dispute_id, payload = excluded.payload,
			resolution = '', resolved_at = NULL WHERE resolution <> 'discarded'`},
		{&p.settle, `UPDATE dead_letters SET resolution = ?, resolved_at = ?
			WHERE provider = ? AND event_id = ? AND digest = ? AND resolution IN ('', 'discarded')`},
	}
}
