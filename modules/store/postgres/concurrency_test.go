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
// own order, some in conflict. Each update has its effect once, and there
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

// inConflict returns an update with the same key as busyUpdate(n) and other facts.
func inConflict(n int) *payrelayv1.Update {
	u := busyUpdate(n)
	if d := u.GetDispute(); d != nil {
		d.Reason = "another"
	} else {
		u.GetOrder().Amount = &payrelayv1.Money{MinorUnits: 7, Currency: "EUR"}
	}
	return u
}

// applyBusy sends a batch until it is recorded, and other facts for some of its
// events. A ledger that loses too many races returns ErrRaced; then it sends again.
func applyBusy(t *testing.T, store payments.Store, numbers []int) {
	var batch []*payrelayv1.Update
	for _, n := range numbers {
		batch = append(batch, busyUpdate(n))
		if n%10 == 0 {
			batch = append(batch, inConflict(n))
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

// wantEachOnce checks that every update is in the history of its order or dispute, and that every
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
		subjects := payments.Subjects{Orders: []string{id}}
		for parity := range 2 {
			subjects.Disputes = append(subjects.Disputes, payments.DisputeKey{Source: "generic", ID: fmt.Sprintf("dispute-%d-%d", i, parity)})
		}
		read, err := store.History(t.Context(), subjects, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		history, got := read.Orders[id], len(read.Orders[id])
		for _, key := range subjects.Disputes {
			got += len(read.Disputes[key])
		}
		if want := (updates - i + busyOrders - 1) / busyOrders; got != want {
			t.Errorf("got %d events in the history of %s and its disputes, want %d", got, id, want)
		}
		order, err := store.Order(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if want := lastOf(history); !order.UpdatedAt.Equal(want) {
			t.Errorf("%s was updated at %v, want %v", id, order.UpdatedAt, want)
		}
	}
}

// lastOf returns the time of the newest event.
func lastOf(history []*payments.Event) (last time.Time) {
	for _, e := range history {
		if at := e.Update.GetOccurredAt().AsTime(); at.After(last) {
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
