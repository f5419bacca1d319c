package postgres

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/payrelay/payrelay/modules/payments"
)

// LedgerStatements are all statements of the ledger's way.
var LedgerStatements = []string{
	writeOrders.one, writeDisputes.one, insertEvents.one, reviseEvents.one, settleLetters.one, putLetters.one,
	writeOrders.many, writeDisputes.many, insertEvents.many, reviseEvents.many, settleLetters.many, putLetters.many,
	selectRecorded, selectAggregates, selectOwners, selectHistory,
}

func (s *Store) LedgerPool() *pgxpool.Pool { return s.ledger }

func OrderPage(q payments.OrderQuery) string {
	sel := orderSelection(q)
	return sel.limited(q.Page.Limit)
}

func DisputePage(q payments.DisputeQuery) string {
	sel := disputeSelection(q)
	return sel.limited(q.Page.Limit)
}

func EventPage(q payments.EventQuery) string {
	sel := eventSelection(q)
	return sel.limited(q.Page.Limit)
}
