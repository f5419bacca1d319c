package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/payrelay/payrelay/modules/store"
)

// The conditions by which a commit detects that another writer was first: then a
// statement writes no row.
const (
	versionUnchanged = "version = ?"
	versionUnset     = "version = 0" // of an order that is not stored yet, or has only a placeholder
	sameOwner        = "order_id = excluded.order_id"
)

// notFinal is the condition that a dead letter can be settled. A discarded one can,
// because its update has been applied after all.
const notFinal = "resolution IN ('', 'discarded')"

const inList = " IN (SELECT value FROM json_each(?))"

const (
	orderState     = store.OrderColumns + ", " + store.HeadColumns
	disputeState   = store.DisputeColumns + ", " + store.HeadColumns
	selectRecorded = "SELECT event_id, digest, in_history FROM events WHERE provider = ? AND event_id" + inList
	selectOrders   = "SELECT order_id, version, " + orderState + " FROM orders WHERE version > 0 AND order_id" + inList
	selectDisputes = "SELECT " + disputeState + " FROM disputes WHERE order_id" + inList
	selectOwners   = "SELECT dispute_id, order_id FROM disputes WHERE dispute_id" + inList
)

var selectHistory = "SELECT " + store.EventColumns + " FROM events WHERE in_history = 1 AND " + ofOrders("?")

const (
	insertOrder = `INSERT INTO orders (` + orderState + `, order_id, version)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
		ON CONFLICT (order_id) DO UPDATE SET version = 1, (` + orderState + `) =
		(excluded.status, excluded.user_id, excluded.amount, excluded.currency, excluded.created_at, excluded.updated_at,
		excluded.head_at, excluded.head_rank, excluded.head_event_id) WHERE ` + versionUnset
	updateOrder = `UPDATE orders SET version = version + 1, (` + orderState + `) =
		(?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE order_id = ? AND ` + versionUnchanged
	putPlaceholder = `INSERT INTO orders (order_id, version, ` + orderState + `)
		VALUES (?, 0, '', '', 0, '', NULL, NULL, NULL, 0, '') ON CONFLICT (order_id) DO NOTHING`
	putDispute = `INSERT INTO disputes (` + disputeState + `)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (dispute_id) DO UPDATE SET status = excluded.status, user_id = excluded.user_id,
		reason = excluded.reason, amount = excluded.amount, currency = excluded.currency,
		opened_at = excluded.opened_at, updated_at = excluded.updated_at, evidence_due_at = excluded.evidence_due_at,
		head_at = excluded.head_at, head_rank = excluded.head_rank, head_event_id = excluded.head_event_id
		WHERE ` + sameOwner
	insertEvent = `INSERT INTO events (` + store.EventColumns + `, in_history, body, order_ref)
		VALUES (?, ?, ?3, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT id FROM orders WHERE order_id = ?3))`
	reviseEvent   = `UPDATE events SET verdict = ?, dead_letter_reason = ?, in_history = ? WHERE provider = ? AND event_id = ?`
	putDeadLetter = `INSERT INTO dead_letters (` + store.LetterColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', NULL)
		ON CONFLICT (provider, event_id, digest) DO UPDATE SET reason = excluded.reason, detail = excluded.detail,
		order_id = excluded.order_id, dispute_id = excluded.dispute_id, payload = excluded.payload,
		resolution = '', resolved_at = NULL WHERE resolution <> 'discarded'`
	settleDeadLetter = `UPDATE dead_letters SET resolution = ?, resolved_at = ?
		WHERE provider = ? AND event_id = ? AND digest = ? AND ` + notFinal
)

// statements are the prepared statements of the ledger.
type statements struct {
	recorded, orders, disputes, owners, history *sql.Stmt

	insertOrder, updateOrder, putPlaceholder, putDispute, insertEvent, reviseEvent,
	putDeadLetter, settleDeadLetter *sql.Stmt
}

// statementText is the text that a statement is prepared from.
type statementText struct {
	stmt **sql.Stmt
	text string
}

func (p *statements) texts() []statementText {
	return []statementText{
		{&p.recorded, selectRecorded}, {&p.orders, selectOrders}, {&p.disputes, selectDisputes}, {&p.owners, selectOwners}, {&p.history, selectHistory},
		{&p.insertOrder, insertOrder}, {&p.updateOrder, updateOrder}, {&p.putPlaceholder, putPlaceholder}, {&p.putDispute, putDispute},
		{&p.insertEvent, insertEvent}, {&p.reviseEvent, reviseEvent}, {&p.putDeadLetter, putDeadLetter}, {&p.settleDeadLetter, settleDeadLetter},
	}
}

// use returns the prepared statements. It prepares them on the first call, because
// the tables may have to be migrated before.
func (s *Store) use(ctx context.Context) (*statements, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prepared != nil {
		return s.prepared, nil
	}
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	prepared := new(statements)
	for _, st := range prepared.texts() {
		stmt, err := s.writer.PrepareContext(ctx, st.text)
		if err != nil {
			return nil, fmt.Errorf("prepare %q: %w", st.text, err)
		}
		*st.stmt = stmt
	}
	s.prepared = prepared
	return prepared, nil
}
