package retention

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
)

// BatchSize is the number of rows that a transaction changes at most.
const BatchSize = 500

const (
	// transactionTimeout bounds one transaction.
	transactionTimeout = 15 * time.Second
	// pause is the time between two transactions that follow each other, in which those
	// that write webhooks get their turn.
	pause = 10 * time.Millisecond
	// tries is the number of times that a transaction is begun that conflicts with
	// others.
	tries = 20
)

// Transact runs do in a short transaction, again if another writer was first, and then
// pauses.
func Transact(ctx context.Context, s Session, do func(ctx context.Context, tx store.Connection) error) error {
	for try := 1; ; try++ {
		err := within(ctx, func(ctx context.Context) error {
			return s.Transact(ctx, func(tx store.Connection) error { return do(ctx, tx) })
		})
		if err != nil && (!errors.Is(err, payments.ErrRaced) || try == tries) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if err == nil {
			return nil
		}
	}
}

func within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	return do(ctx)
}

// errUndo undoes a transaction.
var errUndo = errors.New("nothing is written")

// transact is Transact that undoes everything unless keep is set.
func transact(ctx context.Context, s Session, keep bool, do func(ctx context.Context, tx store.Connection) error) error {
	err := Transact(ctx, s, func(ctx context.Context, tx store.Connection) error {
		if err := do(ctx, tx); err != nil || keep {
			return err
		}
		return errUndo
	})
	if errors.Is(err, errUndo) {
		return nil
	}
	return err
}

// in returns a statement, with $ before the numbers of its arguments, as an engine takes
// it.
func in(s Session, statement string) string {
	return strings.ReplaceAll(statement, "$", s.Dialect().Argument)
}

// read calls each for every row of a query.
func read(ctx context.Context, s Session, query string, args []any, each func(store.Row) error) error {
	rows, err := s.Read().QueryContext(ctx, in(s, query), args...)
	if err != nil {
		return err
	}
	return store.EachRow(rows, each)
}

// change returns the number of rows that a statement has changed.
func change(ctx context.Context, s Session, tx store.Connection, statement string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, in(s, statement), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
