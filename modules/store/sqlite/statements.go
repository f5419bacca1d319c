package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/payrelay/payrelay/modules/store"
)

// versionUnchanged makes an update write no row if another writer was first. An insert
// fails in this case, because the row exists.
const versionUnchanged = "version = ?"

const inList = " IN (SELECT value FROM json_each(?))"

const (
	orderColumns   = store.OrderColumns + ", " + store.OrderFoldColumns
	disputeColumns = store.DisputeColumns + ", " + store.DisputeFoldColumns
)

var (
	selectRecorded     = "SELECT " + store.RecordedColumns + " FROM events WHERE provider = ? AND event_id" + inList
	selectWithoutFacts = "SELECT " + store.WithoutFactsColumns + " FROM events WHERE facts IS NULL AND provider = ? AND event_id" + inList
	selectOrders       = "SELECT order_id, version, " + orderColumns + " FROM orders WHERE version > 0 AND order_id" + inList
	selectDisputes     = "SELECT version, " + disputeColumns + " FROM disputes WHERE source = ? AND dispute_id" + inList
)

// in_history is 0 for notes.
const (
	ofOrder   = "in_history = 1 AND dispute_id = '' AND order_ref = (SELECT id FROM orders WHERE order_id = ?)"
	ofDispute = "in_history = 1 AND dispute_id <> '' AND provider = ? AND dispute_id = ?"
	oldest    = " AND occurred_at >= ? ORDER BY occurred_at LIMIT ?"

	selectHistory        = "SELECT " + store.EventColumns + " FROM events WHERE " + ofOrder + oldest
	selectDisputeHistory = "SELECT " + store.EventColumns + " FROM events WHERE " + ofDispute + oldest

	ofSubject         = "order_id = ? AND source = ? AND dispute_id = ?"
	selectCheckpoint  = "SELECT " + store.CheckpointColumns + " FROM checkpoints WHERE " + ofSubject + " AND before_at <= ? ORDER BY before_at DESC LIMIT 1"
	deleteCheckpoints = "DELETE FROM checkpoints WHERE " + ofSubject + " AND before_at > ? AND before_at <= ?"
	putCheckpoint     = "INSERT OR REPLACE INTO checkpoints (order_id, source, dispute_id, " + store.CheckpointColumns + ") VALUES (?, ?, ?, ?, ?, ?)"
)

var (
	insertOrder = "INSERT INTO orders (" + orderColumns + ", order_id, version) VALUES (" + places(orderColumns) + ", ?, 1)" +
		" ON CONFLICT (order_id) DO UPDATE SET version = 1, (" + orderColumns + ") = (" + excluded(orderColumns) + ") WHERE version = 0"
	updateOrder    = "UPDATE orders SET version = version + 1, (" + orderColumns + ") = (" + places(orderColumns) + ") WHERE order_id = ? AND " + versionUnchanged
	putPlaceholder = `INSERT INTO orders (order_id, version, status, user_id, amount, currency, head_rank, head_event_id)
		VALUES (?, 0, '', '', 0, '', 0, '') ON CONFLICT (order_id) DO NOTHING`
	insertDispute = "INSERT INTO disputes (" + disputeColumns + ", version) VALUES (" + places(disputeColumns) + ", 1)"
	updateDispute = "UPDATE disputes SET version = version + 1, (" + disputeColumns + ") = (" + places(disputeColumns) + `)
		WHERE dispute_id = ?1 AND source = ?2 AND ` + versionUnchanged
	insertEvent = "INSERT INTO events (" + store.EventColumns + ", digest, in_history, order_ref) VALUES (" +
		places(store.EventColumns+", digest, in_history") + ", (SELECT id FROM orders WHERE order_id = ?3))"
	insertBody   = "INSERT INTO bodies (event, recorded_at, body) VALUES (?, ?, ?)"
	insertBodies = insertBody + strings.Repeat(", (?, ?, ?)", bodiesAtOnce-1)
	reviseEvent  = `UPDATE events SET verdict = ?, dead_letter_reason = ?, in_history = ?, forced = ?, discarded = ?
		WHERE provider = ? AND event_id = ? AND ` + store.KindColumn + ` = ?`
	// putDeadLetter changes only the deliveries of a dead letter that an operator accepted
	// or discarded.
	putDeadLetter = "INSERT INTO dead_letters (" + letterColumns + ", resolution) VALUES (" + places(letterColumns) + `, '')
		ON CONFLICT (provider, event_id, digest) DO UPDATE SET deliveries = deliveries + excluded.deliveries, last_at = excluded.last_at, ` +
		store.ReopenLetter
	insertAudit      = "INSERT INTO audit (" + store.AuditColumns + ") VALUES (" + places(store.AuditColumns) + ")"
	settleDeadLetter = `UPDATE dead_letters SET resolution = ?, resolved_at = ?, resolved_by = ?, why = ?
		WHERE provider = ? AND event_id = ? AND digest = ? AND resolution = ''`
)

// bodiesAtOnce is the number of bodies that insertBodies writes, each with bodyColumns
// values.
const (
	bodiesAtOnce = 16
	bodyColumns  = 3
)

const letterColumns = "provider, event_id, digest, kind, reason, detail, order_id, dispute_id, payload, created_at, deliveries, last_at"

// places returns a placeholder for each column.
func places(columns string) string {
	return "?" + strings.Repeat(", ?", strings.Count(columns, ","))
}

// excluded returns the columns of the excluded row of an upsert.
func excluded(columns string) string {
	return "excluded." + strings.Join(strings.Fields(columns), " excluded.")
}

// statements are the prepared statements of the ledger.
type statements struct {
	recorded, withoutFacts, orders, disputes, history, disputeHistory, checkpoint *sql.Stmt

	insertOrder, updateOrder, putPlaceholder, insertDispute, updateDispute, insertEvent, insertBody, insertBodies, reviseEvent,
	putDeadLetter, settleDeadLetter, deleteCheckpoints, putCheckpoint, insertAudit *sql.Stmt
}

// statementText is the text that a statement is prepared from.
type statementText struct {
	stmt **sql.Stmt
	text string
}

func (p *statements) texts() []statementText {
	return []statementText{
		{&p.recorded, selectRecorded}, {&p.withoutFacts, selectWithoutFacts}, {&p.orders, selectOrders}, {&p.disputes, selectDisputes},
		{&p.history, selectHistory}, {&p.disputeHistory, selectDisputeHistory}, {&p.checkpoint, selectCheckpoint},
		{&p.insertOrder, insertOrder}, {&p.updateOrder, updateOrder}, {&p.putPlaceholder, putPlaceholder},
		{&p.insertDispute, insertDispute}, {&p.updateDispute, updateDispute},
		{&p.insertEvent, insertEvent}, {&p.insertBody, insertBody}, {&p.insertBodies, insertBodies}, {&p.reviseEvent, reviseEvent},
		{&p.putDeadLetter, putDeadLetter}, {&p.settleDeadLetter, settleDeadLetter},
		{&p.deleteCheckpoints, deleteCheckpoints}, {&p.putCheckpoint, putCheckpoint}, {&p.insertAudit, insertAudit},
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
