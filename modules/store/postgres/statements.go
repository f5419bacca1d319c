package postgres

import (
	"slices"

	"github.com/payrelay/payrelay/modules/store"
)

// A commit counts the rows that a statement wrote, to detect that another writer was
// first. If a row is missing, the statement casts false to the domain all_written, which
// allows only true, so the transaction fails.
const (
	// everyRowWritten ignores placeholders. It does not count an aggregate that was read
	// before and is inserted now, because a failover to a lagging server lost it. An
	// updated row has this transaction as its xmax, and an inserted row has none.
	everyRowWritten      = "SELECT (count(*) = @count)::all_written FROM written WHERE version = 1 OR (version > 1 AND NOT new)"
	everyEventRevised    = "SELECT (count(*) = @count)::all_written FROM written"
	everyDecisionWritten = "SELECT (count(*) = @count)::all_written FROM written WHERE resolution <> 'reapplied'"
	orderIsUnchanged     = "orders.version = excluded.version - 1"
	disputeIsUnchanged   = "disputes.version = excluded.version - 1"
	// letterIsOpen does not let the planner read the index of all open dead letters.
	letterIsOpen         = "length(dead_letters.resolution) = 0"
	letterHasTheKey      = "dead_letters.provider = given.provider AND dead_letters.event_id = given.event_id AND dead_letters.digest = given.digest"
	eventHasTheKey       = "events.event_id = given.event_id AND events.provider = given.provider AND " + store.KindColumn + " = given.kind"
	countFurtherDelivery = "deliveries = dead_letters.deliveries + excluded.deliveries, last_at = excluded.last_at"
)

var (
	wholeOrder      = slices.Concat(orderKey, orderState)
	wholeDispute    = slices.Concat(disputeKey, disputeState)
	wholeEvent      = slices.Concat(eventKey, eventContent, eventVerdict)
	judgedEvent     = slices.Concat(eventKey, eventKind, eventVerdict)
	wholeLetter     = slices.Concat(letterKey, letterContent)
	wholeSettlement = slices.Concat(settlementKey, settlementState)
)

// The conflict locks an existing row even if the row is not updated.
var writeOrders = newStatement(wholeOrder, `
WITH written AS (
	INSERT INTO orders (`+wholeOrder.names()+`)
	SELECT * FROM @rows
	ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, `+orderState.assignments("excluded")+`
	WHERE `+orderIsUnchanged+`
	RETURNING version, xmax = 0 AS new
)
`+everyRowWritten)

var writeDisputes = newStatement(wholeDispute, `
WITH written AS (
	INSERT INTO disputes (`+wholeDispute.names()+`)
	SELECT * FROM @rows
	ON CONFLICT (dispute_id, source) DO UPDATE SET version = excluded.version, `+disputeState.assignments("excluded")+`
	WHERE `+disputeIsUnchanged+`
	RETURNING version, xmax = 0 AS new
)
`+everyRowWritten)

// The sequences follow the order of the batch.
var insertEvents = newStatement(slices.Concat(wholeEvent, eventBody), `
WITH numbered AS MATERIALIZED (
	SELECT nextval('events_seq_seq') AS seq, given.* FROM @rows
), recorded AS (
	INSERT INTO events (seq, `+wholeEvent.names()+`, order_ref)
	SELECT seq, `+wholeEvent.names()+`, (SELECT o.id FROM orders o WHERE o.order_id = numbered.order_id) FROM numbered
)
INSERT INTO bodies (event, recorded_at, body)
SELECT seq, recorded_at, body FROM numbered WHERE length(body) > 0`)

var reviseEvents = newStatement(judgedEvent, `
WITH written AS (
	UPDATE events SET `+eventVerdict.assignments("given")+` FROM @rows
	WHERE `+eventHasTheKey+`
	RETURNING seq
)
`+everyEventRevised)

// A settlement of a dead letter that is already settled or does not exist does nothing.
// If it is a decision of an operator, the commit fails with ErrRaced.
var settleLetters = newStatement(wholeSettlement, `
WITH written AS (
	UPDATE dead_letters SET `+settlementState.assignments("given")+` FROM @rows
	WHERE `+letterHasTheKey+` AND `+letterIsOpen+`
	RETURNING dead_letters.resolution
)
`+everyDecisionWritten)

// Ids follow the order of the batch. Rows are written in the order of their keys, so
// that two processes with the same batch do not deadlock. If an operator accepted or
// discarded the dead letter, only its deliveries change.
var putLetters = newStatement(wholeLetter, `
INSERT INTO dead_letters (id, `+wholeLetter.names()+`, resolution)
SELECT *, '' FROM (SELECT nextval('dead_letters_id_seq'), given.* FROM @rows) AS numbered
ORDER BY `+letterKey.names()+`
ON CONFLICT (provider, event_id, digest) DO UPDATE SET `+countFurtherDelivery+`, `+store.ReopenLetter)

// Ids follow the order of the batch.
var writeAudit = newStatement(auditEntry, `
INSERT INTO audit (`+auditEntry.names()+`)
SELECT * FROM @rows`)

// The lookups by source and id may also select rows with the id of one key and the source
// of another, which the caller skips.
const (
	byKeys             = " FROM events WHERE event_id = ANY($1::text[]) AND provider = ANY($2::text[])"
	selectRecorded     = "SELECT " + store.RecordedColumns + byKeys
	selectWithoutFacts = "SELECT " + store.WithoutFactsColumns + byKeys + " AND facts IS NULL"
	selectDisputes     = "SELECT version, " + store.DisputeColumns + ", " + store.DisputeFoldColumns + ` FROM disputes
	WHERE dispute_id = ANY($1::text[]) AND source = ANY($2::text[])`
	// in_history is false for notes.
	selectHistory = `SELECT history.* FROM orders, LATERAL (
		SELECT ` + store.EventColumns + ` FROM events WHERE in_history AND dispute_id = '' AND order_ref = orders.id LIMIT $2
	) AS history WHERE orders.order_id = ANY($1::text[])`
	selectDisputeHistory = `SELECT history.* FROM unnest($1::text[], $2::text[]) AS wanted (id, source), LATERAL (
		SELECT ` + store.EventColumns + ` FROM events
		WHERE in_history AND dispute_id <> '' AND dispute_id = wanted.id AND provider = wanted.source LIMIT $3
	) AS history`
	selectPage = "SELECT " + store.EventColumns + ` FROM events
		WHERE in_history AND dispute_id = '' AND order_ref = (SELECT id FROM orders WHERE order_id = $1) AND occurred_at >= $2
		ORDER BY occurred_at LIMIT $3`
	selectDisputePage = "SELECT " + store.EventColumns + ` FROM events
		WHERE in_history AND dispute_id <> '' AND dispute_id = $1 AND provider = $2 AND occurred_at >= $3
		ORDER BY occurred_at LIMIT $4`
)

const (
	ofSubject        = "order_id = $1 AND source = $2 AND dispute_id = $3"
	selectCheckpoint = "SELECT " + store.CheckpointColumns + " FROM checkpoints WHERE " + ofSubject + `
		AND before_at <= $4 ORDER BY before_at DESC LIMIT 1`
	deleteCheckpoints = "DELETE FROM checkpoints WHERE " + ofSubject + " AND before_at > $4 AND before_at <= $5"
	putCheckpoints    = "INSERT INTO checkpoints (order_id, source, dispute_id, " + store.CheckpointColumns + `)
		SELECT $1, $2, $3, * FROM unnest($4::timestamptz[], $5::smallint[], $6::text[])
		ON CONFLICT (order_id, source, dispute_id, before_at) DO UPDATE SET rules = excluded.rules, state = excluded.state`
)

const selectOrders = "SELECT order_id, version, " + store.OrderColumns + ", " + store.OrderFoldColumns + ` FROM orders
	WHERE order_id = ANY($1::text[]) AND version > 0`
