package payments

import "time"

// NewLedgerAt returns a ledger with the clock now.
func NewLedgerAt(store Store, now func() time.Time) *Ledger {
	return &Ledger{store: store, now: now, limits: &defaultLimits}
}

// Limit sets the limits of a ledger. A whole of 0 restores the defaults.
func (l *Ledger) Limit(whole, interval, page, commit int) {
	l.limits = &limits{whole, interval, page, commit}
}

// PositionOf returns the position of an event in its history.
func PositionOf(e *Event) Position { return e.position() }
