package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/payrelay/payrelay/modules/store"
)

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

// Pooled reports whether the store is behind a pooler.
func (s *Store) Pooled() bool { return s.pooled }

// LedgerSetting reads a setting in a transaction of the ledger.
func (s *Store) LedgerSetting(ctx context.Context, name string, read func(string)) error {
	return s.query(ctx, s.ledger, s.first.ledger, "SELECT current_setting($1)", []any{name}, func(row store.Row) error {
		var value string
		err := row.Scan(&value)
		read(value)
		return err
	})
}
