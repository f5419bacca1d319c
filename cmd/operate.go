package cmd

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/cmd/operate"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/payments"
)

// withService opens an existing database for a command of package operate, whose calls
// the handlers of the api role serve in this process.
func withService(ctx context.Context, data flags.Data, use func(operate.Service) error) error {
	return withDatabase(ctx, data, func(db database) error {
		var cause lastError
		log := slog.New(&cause)
		err := use(struct {
			*api.Query
			*api.Operator
		}{
			api.NewQuery(db, log),
			api.NewOperator(api.OperatorConfig{Store: db, Ledger: payments.NewLedger(db), Log: log}),
		})
		if err != nil && cause.err != nil {
			return fmt.Errorf("use the database: %w", cause.err)
		}
		return err
	})
}

// lastError is a log handler that keeps the error of the last record. The handlers of the api
// role log errors that a client must not see; a user of the database may see them.
type lastError struct{ err error }

func (*lastError) Enabled(context.Context, slog.Level) bool { return true }

func (l *lastError) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(attr slog.Attr) bool {
		if err, ok := attr.Value.Any().(error); ok && attr.Key == "error" {
			l.err = err
		}
		return true
	})
	return nil
}

func (l *lastError) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *lastError) WithGroup(string) slog.Handler      { return l }
