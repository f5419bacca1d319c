package postgres

import (
	"slices"
	"strings"

	"github.com/payrelay/payrelay/modules/store"
)

// The statements of a commit. Where a row that is not written means that another
// writer was first, the statement casts "as many as there have to be" to a domain
// that has only the value true.

var (
	wholeOrder      = slices.Concat(orderKey, orderState)
	wholeDispute    = slices.Concat(disputeKey, disputeState)
	wholeEvent      = slices.Concat(eventKey, eventFacts, eventVerdict)
	judgedEvent     = slices.Concat(eventKey, eventVerdict)
	wholeLetter     = slices.Concat(letterKey, letterCase, letterCreation)
	wholeSettlement = slices.Concat(settlementKey, settlementState)
)

// Of the orders, those that are more than noted count. A row that is there already
// is locked even if it is not updated. One of which a version was read must not be
// a new row: it was there, but may not be after a failover to a server that lagged
// behind. A row that was updated here has this transaction as its xmax, a new row
// has none.
var writeOrders = newStatement(wholeOrder, `
WITH written AS (
	INSERT INTO orders (`+wholeOrder.names()+`)
	SELECT * FROM @rows
	ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, `+orderState.assignments("excluded")+`
	WHERE orders.version = excluded.version - 1
	RETURNING version, xmax = 0 AS new
)
SELECT (count(*) = @count)::first_writer FROM written WHERE version = 1 OR (version > 1 AND NOT new)`)

var writeDisputes = newStatement(wholeDispute, `
WITH written AS (
	INSERT INTO disputes (`+wholeDispute.names()+`)
	SELECT * FROM @rows
	ON CONFLICT (dispute_id) DO UPDATE SET `+disputeState.assignments("excluded")+`
	WHERE disputes.order_id = excluded.order_id
	RETURNING dispute_id
)
SELECT (count(*) = @count)::first_writer FROM written`)

var insertEvents = newStatement(wholeEvent, `
INSERT INTO events (`+wholeEvent.names()+`, order_ref)
SELECT given.*, (SELECT o.id FROM orders o WHERE o.order_id = given.order_id) FROM @rows`)

var reviseEvents = newStatement(judgedEvent, `
WITH written AS (
	UPDATE events SET `+eventVerdict.assignments("given")+` FROM @rows
	WHERE events.event_id = given.event_id AND events.provider = given.provider
	RETURNING seq
)
SELECT (count(*) = @count)::first_writer FROM written`)

// One that is settled already, or that never was there, stays as it is.
var settleLetters = newStatement(wholeSettlement, `
UPDATE dead_letters SET `+settlementState.assignments("given")+` FROM @rows
WHERE dead_letters.provider = given.provider AND dead_letters.event_id = given.event_id AND dead_letters.digest = given.digest
AND dead_letters.resolution IN ('', 'discarded')`)

// Ids are given in the sequence of the batch, rows are written in that of their
// key: two processes that read the same batch do not wait for each other. What an
// operator discarded is not asked about again.
var putLetters = newStatement(wholeLetter, `
INSERT INTO dead_letters (id, `+wholeLetter.names()+`, resolution)
SELECT *, '' FROM (SELECT nextval('dead_letters_id_seq'), given.* FROM @rows) AS numbered
ORDER BY `+letterKey.names()+`
ON CONFLICT (provider, event_id, digest) DO UPDATE SET `+letterCase.assignments("excluded")+`, resolution = '', resolved_at = NULL
WHERE dead_letters.resolution <> 'discarded'`)

// The statements of a load.
var (
	// selectRecorded may select more than was asked for: an event id of one
	// provider with another provider.
	selectRecorded = `SELECT provider, event_id, digest, in_history FROM events WHERE event_id = ANY($1::text[]) AND provider = ANY($2::text[])`

	// An order without a dispute has a row with none in it.
	selectAggregates = `SELECT orders.order_id, version, ` + of("orders", store.OrderColumns, store.HeadColumns) + `, ` + of("disputes", store.DisputeColumns, store.HeadColumns) + `
		FROM orders LEFT JOIN disputes ON disputes.order_id = orders.order_id
		WHERE orders.order_id = ANY($1::text[]) AND version > 0`

	selectOwners = `SELECT dispute_id, order_id FROM disputes WHERE dispute_id = ANY($1::text[])`

	selectHistory = `SELECT ` + store.EventColumns + ` FROM events WHERE in_history AND ` + ofOrders("$1::text[]")
)

// of names columns with their table.
func of(table string, columns ...string) string {
	return table + "." + strings.ReplaceAll(strings.Join(columns, ", "), ", ", ", "+table+".")
}
