package payments

import (
	"context"
	"fmt"
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

// Replay decides Replayed about one dead letter.
func (l *Ledger) Replay(ctx context.Context, id int64, by, why string) (*payrelayv1.Outcome, error) {
	return l.decideOne(ctx, "replay", id, Decision{Resolution: Replayed, By: by, Why: why})
}

// Judge returns the verdict that Replay would give, and writes nothing.
func (l *Ledger) Judge(ctx context.Context, id int64) (*payrelayv1.Outcome, error) {
	return l.decideOne(ctx, "judge", id, Decision{Resolution: Replayed, Dry: true})
}

// Accept decides Accepted about one dead letter.
func (l *Ledger) Accept(ctx context.Context, id int64, by, why string) (*payrelayv1.Outcome, error) {
	return l.decideOne(ctx, "accept", id, Decision{Resolution: Accepted, By: by, Why: why})
}

// Discard decides Discarded about one dead letter.
func (l *Ledger) Discard(ctx context.Context, id int64, by, why string) error {
	_, err := l.decideOne(ctx, "discard", id, Decision{Resolution: Discarded, By: by, Why: why})
	return err
}

func (l *Ledger) decideOne(ctx context.Context, verb string, id int64, d Decision) (*payrelayv1.Outcome, error) {
	results, err := l.Decide(ctx, []int64{id}, d)
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		return nil, fmt.Errorf("%s dead letter %d: %w", verb, id, err)
	}
	return results[0].Outcome, nil
}
