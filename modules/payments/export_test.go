package payments

import (
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// NewLedgerAt returns a ledger with the clock now.
func NewLedgerAt(store Store, now func() time.Time) *Ledger {
	l := NewLedger(store)
	l.now = now
	return l
}

// Limit sets the limits of a ledger. A whole of 0 restores the defaults.
func (l *Ledger) Limit(whole, interval, page, commit int) {
	l.limits = &limits{whole, interval, page, commit}
}

// PositionOf returns the position of an event in its history.
func PositionOf(e *Event) Position { return e.position() }

// PanicAt makes each fold of an update for which value is not nil panic with that value.
// Restore undoes this.
func PanicAt(value func(*payrelayv1.Update) any) (restore func()) {
	orders, disputes := orderMachine.step, disputeMachine.step
	orderMachine.step, disputeMachine.step = panicking(orders, value), panicking(disputes, value)
	return func() { orderMachine.step, disputeMachine.step = orders, disputes }
}

type step[S any] = func(S, *payrelayv1.Update, bool) (S, payrelayv1.DeadLetterReason)

func panicking[S any](next step[S], value func(*payrelayv1.Update) any) step[S] {
	return func(state S, u *payrelayv1.Update, forced bool) (S, payrelayv1.DeadLetterReason) {
		if p := value(u); p != nil {
			panic(p)
		}
		return next(state, u, forced)
	}
}

// PanicText returns the text of the error for a panic with a value, or for a panic in a
// function.
func PanicText(value any) string {
	err := guard(func() {
		if f, ok := value.(func()); ok {
			f()
		}
		panic(value)
	})
	return err.Error()
}
