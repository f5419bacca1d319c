package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/storetest"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// busyOrders is small, so that writers compete for the same orders all the time.
const busyOrders = 20

// busyUpdate returns one of many updates of few orders, a third of them of disputes.
func busyUpdate(n int) *payrelayv1.Update {
	at := timestamppb.New(storetest.TrafficStart.Add(time.Duration(n) * time.Second))
	u := &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: fmt.Sprintf("evt-%d", n), OrderId: fmt.Sprintf("order-%d", n%busyOrders),
		OccurredAt: at, RawBody: fmt.Appendf(nil, "body %d", n),
	}
	if n%3 == 0 {
		u.Subject = &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{
			DisputeId: fmt.Sprintf("dispute-%d-%d", n%busyOrders, n%2), Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN,
		}}
	} else {
		u.Subject = &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_UPDATED}}
	}
	return u
}

// Three processes with two ledgers each get the same updates in batches, each in its
// own order, some with conflicting bodies. Each update has its effect once, and there
// is no deadlock.
func TestProcessesOnTheSameOrders(t *testing.T) {
	databaseURL, first := migrated(t)
	const updates = 1500
	var writers sync.WaitGroup
	var deadlocks atomic.Int64
	for process := range 3 {
		store := watched{open(t, databaseURL), &deadlocks}
		for writer := range 2 {
			random := rand.New(rand.NewPCG(uint64(process), uint64(writer)))
			sequence := random.Perm(updates)
			writers.Go(func() {
				for len(sequence) > 0 {
					size := min(1+random.IntN(40), len(sequence))
					applyBusy(t, store, sequence[:size])
					sequence = sequence[size:]
				}
			})
		}
	}
	writers.Wait()
	wantEachOnce(t, databaseURL, first, updates)
	if n := deadlocks.Load(); n > 0 {
		t.Errorf("got %d deadlocks, want none", n)
	}
}

// applyBusy sends a batch until it is recorded, with a second body for some of its
// events. A ledger that loses too many races returns ErrRaced; then it sends again.
func applyBusy(t *testing.T, store payments.Store, numbers []int) {
	var batch []*payrelayv1.Update
	for _, n := range numbers {
		batch = append(batch, busyUpdate(n))
		if n%10 == 0 {
			other := busyUpdate(n)
			other.RawBody = append(other.RawBody, " of another"...)
			batch = append(batch, other)
		}
	}
	for {
		_, err := payments.NewLedger(store).Apply(t.Context(), batch)
		if err == nil {
			return
		}
		if !errors.Is(err, payments.ErrRaced) {
			t.Error(err)
			return
		}
	}
}

// wantEachOnce checks that every update is in the history of its order, and that every
// order has the state of its newest event.
func wantEachOnce(t *testing.T, databaseURL string, store *postgres.Store, updates int) {
	t.Helper()
	var events, keys int
	withConnection(t, databaseURL, func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), "SELECT count(*), count(DISTINCT event_id) FROM events").Scan(&events, &keys)
	})
	if events != updates || keys != updates {
		t.Errorf("got %d events of %d keys, want %d", events, keys, updates)
	}
	for i := range busyOrders {
		id := fmt.Sprintf("order-%d", i)
		history, err := store.History(t.Context(), []string{id})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(history[id]), (updates-i+busyOrders-1)/busyOrders; got != want {
			t.Errorf("got %d events in the history of %s, want %d", got, id, want)
		}
		order, err := store.Order(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if want := lastOf(history[id]); !order.UpdatedAt.Equal(want) {
			t.Errorf("%s was updated at %v, want %v", id, order.UpdatedAt, want)
		}
	}
}

// lastOf returns the time of the newest event of the order itself.
func lastOf(history []*payments.Event) (last time.Time) {
	for _, e := range history {
		if at := e.Update.GetOccurredAt().AsTime(); !e.IsDispute() && at.After(last) {
			last = at
		}
	}
	return last
}

// watched counts the deadlocks that the server resolved.
type watched struct {
	payments.Store
	deadlocks *atomic.Int64
}

func (w watched) Commit(ctx context.Context, changes *payments.Changes) error {
	err := w.Store.Commit(ctx, changes)
	var failed *pgconn.PgError
	if errors.As(err, &failed) && failed.Code == "40P01" {
		w.deadlocks.Add(1)
	}
	return err
}
