package payments

import "time"

// NewLedgerAt returns a ledger with the clock now.
func NewLedgerAt(store Store, now func() time.Time) *Ledger {
	return &Ledger{store: store, now: now}
}

// PositionOf returns the place of an event in its history.
func PositionOf(e *Event) Position { return e.position() }
