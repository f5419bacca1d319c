package postgres_test

import (
	"errors"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

// After a failover to a lagging server, an order that was read may not exist. A commit
// based on it must not insert a new order.
func TestAnOrderThatIsGoneIsARace(t *testing.T) {
	_, store := migrated(t)
	gone := &payments.Aggregate[payments.Order]{Version: 5}
	gone.State = payments.Order{ID: "o1", Status: payrelayv1.OrderStatus_ORDER_STATUS_UPDATED, CreatedAt: storetest.TrafficStart, UpdatedAt: storetest.TrafficStart}
	other := new(payments.Aggregate[payments.Order])
	other.State.ID = "o2"
	for _, orders := range [][]*payments.Aggregate[payments.Order]{{gone}, {gone, other}} {
		if err := store.Commit(t.Context(), &payments.Changes{Orders: orders}); !errors.Is(err, payments.ErrRaced) {
			t.Errorf("Commit = %v, want ErrRaced", err)
		}
	}
	snapshot, err := store.Load(t.Context(), ofOrder("o1", "o2"))
	if err != nil || len(snapshot.Orders) > 0 {
		t.Errorf("got %d orders (%v), want none", len(snapshot.Orders), err)
	}
}

// A commit based on a lost dispute must not insert a new one.
func TestADisputeThatIsGoneIsARace(t *testing.T) {
	_, store := migrated(t)
	key := payments.DisputeKey{Source: "p", ID: "d1"}
	gone := &payments.Aggregate[payments.Dispute]{Version: 5}
	gone.State = payments.Dispute{DisputeKey: key, OrderID: "o1", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN}
	other := new(payments.Aggregate[payments.Dispute])
	other.State.DisputeKey = payments.DisputeKey{Source: "p", ID: "d2"}
	for _, disputes := range [][]*payments.Aggregate[payments.Dispute]{{gone}, {gone, other}} {
		if err := store.Commit(t.Context(), &payments.Changes{Disputes: disputes}); !errors.Is(err, payments.ErrRaced) {
			t.Errorf("Commit = %v, want ErrRaced", err)
		}
	}
	lookup := payments.Lookup{Subjects: payments.Subjects{Disputes: []payments.DisputeKey{key, other.State.DisputeKey}}}
	snapshot, err := store.Load(t.Context(), lookup)
	if err != nil || len(snapshot.Disputes) > 0 {
		t.Errorf("got %d disputes (%v), want none", len(snapshot.Disputes), err)
	}
}

// ofOrder returns the lookup of orders.
func ofOrder(ids ...string) payments.Lookup {
	return payments.Lookup{Subjects: payments.Subjects{Orders: ids}}
}

// A value that the database cannot store has its own class of error, and the
// connections still work.
func TestUnstorableValues(t *testing.T) {
	_, store := migrated(t)
	letter := &payments.DeadLetter{Key: payments.Key{Source: "p", EventID: "e"}, Detail: "a \x00 in a text", CreatedAt: storetest.TrafficStart}
	for range 2 {
		if err := store.Commit(t.Context(), &payments.Changes{DeadLetters: []*payments.DeadLetter{letter}}); !errors.Is(err, payments.ErrUnstorable) {
			t.Errorf("Commit = %v, want ErrUnstorable", err)
		}
	}
	letter.Detail = "a text"
	if err := store.Commit(t.Context(), &payments.Changes{DeadLetters: []*payments.DeadLetter{letter}}); err != nil {
		t.Error(err)
	}
}
