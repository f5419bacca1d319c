package postgres

import (
	"slices"
	"strings"

	"github.com/payrelay/payrelay/modules/store"
)

// A commit detects that another writer was first by the rows that a statement did
// not write. The statement then casts false to the domain first_writer, which has
// only the value true, so that the transaction fails.
const (
	// versionUnchanged is the condition to update an order.
	versionUnchanged = "orders.version = excluded.version - 1"
	// everyOrderWritten ignores placeholders, and does not count an order that was
	// read before and is a new row now: it was lost in a failover to a server that
	// lagged behind. A row that was updated here has this transaction as its xmax, a
	// new one has none.
	everyOrderWritten = "SELECT (count(*) = @count)::first_writer FROM written WHERE version = 1 OR (version > 1 AND NOT new)"
	everyRowWritten   = "SELECT (count(*) = @count)::first_writer FROM written"
	// sameOwner is the condition to update a dispute.
	sameOwner = "disputes.order_id = excluded.order_id"
	// notFinal is the condition to settle a dead letter. A discarded one can be
	// settled, because its update has been applied after all.
	notFinal = "dead_letters.resolution IN ('', 'discarded')"
)

var (
	wholeOrder      = slices.Concat(orderKey, orderState)
	wholeDispute    = slices.Concat(disputeKey, disputeState)
	wholeEvent      = slices.Concat(eventKey, eventFacts, eventVerdict)
	judgedEvent     = slices.Concat(eventKey, eventVerdict)
	wholeLetter     = slices.Concat(letterKey, letterCase, letterCreation)
	wholeSettlement = slices.Concat(settlementKey, settlementState)
)

// The conflict locks an existing row even if the row is not updated.
var writeOrders = newStatement(wholeOrder, `
WITH written AS (
	INSERT INTO orders (`+wholeOrder.names()+`)
	SELECT * FROM @rows
	ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, `+orderState.assignments("excluded")+`
	WHERE `+versionUnchanged+`
	RETURNING version, xmax = 0 AS new
)
`+everyOrderWritten)

var writeDisputes = newStatement(wholeDispute, `
WITH written AS (
	INSERT INTO disputes (`+wholeDispute.names()+`)
	SELECT * FROM @rows
	ON CONFLICT (dispute_id) DO UPDATE SET `+disputeState.assignments("excluded")+`
	WHERE `+sameOwner+`
	RETURNING dispute_id
)
`+everyRowWritten)

var insertEvents = newStatement(wholeEvent, `
INSERT INTO events (`+wholeEvent.names()+`, order_ref)
SELECT given.*, (SELECT o.id FROM orders o WHERE o.order_id = given.order_id) FROM @rows`)

var reviseEvents = newStatement(judgedEvent, `
WITH written AS (
	UPDATE events SET `+eventVerdict.assignments("given")+` FROM @rows
	WHERE events.event_id = given.event_id AND events.provider = given.provider
	RETURNING seq
)
`+everyRowWritten)

// A settlement of a dead letter that is settled already, or does not exist, does
// nothing.
var settleLetters = newStatement(wholeSettlement, `
UPDATE dead_letters SET `+settlementState.assignments("given")+` FROM @rows
WHERE dead_letters.provider = given.provider AND dead_letters.event_id = given.event_id AND dead_letters.digest = given.digest
AND `+notFinal)

// Ids follow the order of the batch. Rows are written in the order of their keys, so
// that two processes with the same batch do not deadlock. A dead letter that an
// operator has discarded is not opened again.
var putLetters = newStatement(wholeLetter, `
INSERT INTO dead_letters (id, `+wholeLetter.names()+`, resolution)
SELECT *, '' FROM (SELECT nextval('dead_letters_id_seq'), given.* FROM @rows) AS numbered
ORDER BY `+letterKey.names()+`
ON CONFLICT (provider, event_id, digest) DO UPDATE SET `+letterCase.assignments("excluded")+`, resolution = '', resolved_at = NULL
WHERE dead_letters.resolution <> 'discarded'`)

// discardLetter keeps the time at which a dead letter was discarded first.
const discardLetter = `UPDATE dead_letters SET resolution = 'discarded', resolved_at = coalesce(resolved_at, $2)
	WHERE id = $1 AND resolution IN ('', 'discarded') RETURNING resolution`

// selectRecorded is the lookup of idempotency keys. It can select more than these:
// an event id of one provider with another provider.
const selectRecorded = `SELECT provider, event_id, digest, in_history FROM events WHERE event_id = ANY($1::text[]) AND provider = ANY($2::text[])`

const selectOwners = `SELECT dispute_id, order_id FROM disputes WHERE dispute_id = ANY($1::text[])`

// selectAggregates selects a row for each dispute of an order, and one with NULLs for
// an order without disputes.
var selectAggregates = `SELECT orders.order_id, version, ` + of("orders", store.OrderColumns, store.HeadColumns) + `, ` + of("disputes", store.DisputeColumns, store.HeadColumns) + `
	FROM orders LEFT JOIN disputes ON disputes.order_id = orders.order_id
	WHERE orders.order_id = ANY($1::text[]) AND version > 0`

var selectHistory = `SELECT ` + store.EventColumns + ` FROM events WHERE in_history AND ` + ofOrders("$1::text[]")

// of qualifies columns with the name of their table.
func of(table string, columns ...string) string {
	return table + "." + strings.ReplaceAll(strings.Join(columns, ", "), ", ", ", "+table+".")
}
