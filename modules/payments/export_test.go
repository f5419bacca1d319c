package payments

import "time"

// NewLedgerAt is a ledger whose clock the test holds.
func NewLedgerAt(store Store, now func() time.Time) *Ledger {
	return &Ledger{store: store, now: now}
}

// PositionOf is an event's place in its history.
func PositionOf(e *Event) Position { return e.position() }
