package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// LedgerStatements are all statements of the ledger.
var LedgerStatements = []string{
	writeOrders.one, writeDisputes.one, insertEvents.one, reviseEvents.one, settleLetters.one, putLetters.one, writeAudit.one,
	writeOrders.many, writeDisputes.many, insertEvents.many, reviseEvents.many, settleLetters.many, putLetters.many, writeAudit.many,
	selectRecorded, selectOrders, selectDisputes, selectHistory, selectDisputeHistory,
}

func (s *Store) LedgerPool() *pgxpool.Pool { return s.ledger }

// Pools returns all pools that write.
func (s *Store) Pools() []*pgxpool.Pool { return []*pgxpool.Pool{s.ledger, s.reader} }

var Dialect = dialect

// ProbeAlways makes each Ping open a connection.
func (s *Store) ProbeAlways() { s.probe.every = 0 }
