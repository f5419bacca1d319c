package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// control is the baseline that the ledger is compared with: an Applier written in
// the usual way, with a transaction for each update on a pool of connections, with
// the row of the order locked from the read to the commit. It does less than the
// ledger: it does not sort histories, count versions or keep dead letters.
type control struct{ pool *pgxpool.Pool }

const (
	controlConnections = 24
	controlTimeout     = 15 * time.Second
)

func newControl(b *testing.B) control {
	databaseURL, _ := migrated(b)
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		b.Fatal(err)
	}
	cfg.MaxConns = controlConnections
	pool, err := pgxpool.NewWithConfig(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return control{pool}
}

func (c control) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout) // like every call to the database
	defer cancel()
	outcomes := make([]*payrelayv1.Outcome, len(updates))
	for i, u := range updates {
		err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
			verdict, err := applyInControl(ctx, tx, u)
			outcomes[i] = &payrelayv1.Outcome{Verdict: verdict}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

const (
	lockOrder    = `SELECT status FROM orders WHERE order_id = $1 FOR UPDATE`
	controlEvent = `
INSERT INTO events (provider, event_id, order_ref, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency,
	occurred_at, received_at, order_created_at, verdict, dead_letter_reason, in_history, recorded_at, schema_version, digest, body)
VALUES ($1, $2, $3, $4, '', $5, $6, '', '', $7, $8, $9, $10, $11, 'applied', '', true, now(), 1, $12, $13)
ON CONFLICT (event_id, provider) DO NOTHING`
	upsertOrder = `
INSERT INTO orders (order_id, version, status, user_id, amount, currency, created_at, updated_at, head_at, head_rank, head_event_id)
VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $7, 1, $8)
ON CONFLICT (order_id) DO UPDATE SET version = orders.version + 1, status = excluded.status, user_id = excluded.user_id, amount = excluded.amount,
	currency = excluded.currency, updated_at = excluded.updated_at, head_at = excluded.head_at, head_event_id = excluded.head_event_id
RETURNING id`
)

func applyInControl(ctx context.Context, tx pgx.Tx, u *payrelayv1.Update) (payrelayv1.Verdict, error) {
	var known string
	if err := tx.QueryRow(ctx, lockOrder, u.GetOrderId()).Scan(&known); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, err
	}
	o := u.GetOrder()
	status, at := payments.OrderStatuses.Name(o.GetStatus()), u.GetOccurredAt().AsTime()
	var ref int64
	err := tx.QueryRow(ctx, upsertOrder, u.GetOrderId(), status, u.GetUserId(), o.GetAmount().GetMinorUnits(), o.GetAmount().GetCurrency(),
		o.GetCreatedAt().AsTime(), at, u.GetEventId()).Scan(&ref)
	if err != nil {
		return 0, err
	}
	digest := payments.Digest{}
	_, err = tx.Exec(ctx, controlEvent, u.GetProvider(), u.GetEventId(), ref, u.GetOrderId(), u.GetUserId(), status,
		o.GetAmount().GetMinorUnits(), o.GetAmount().GetCurrency(), at, u.GetReceivedAt().AsTime(), o.GetCreatedAt().AsTime(), digest[:], u.GetRawBody())
	return payrelayv1.Verdict_VERDICT_APPLIED, err
}
