package postgres_test

import (
	"errors"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

// After a failover to a server that lagged behind, an order that was read may not
// exist. What was judged from it must not become a new order.
func TestAnOrderThatIsGoneIsARace(t *testing.T) {
	_, store := migrated(t)
	a := &payments.Aggregate{OrderID: "o1", Version: 5}
	a.Order.State = payments.Order{ID: "o1", Status: payrelayv1.OrderStatus_ORDER_STATUS_UPDATED, CreatedAt: storetest.TrafficStart, UpdatedAt: storetest.TrafficStart}
	others := &payments.Aggregate{OrderID: "o2"}
	for _, aggregates := range [][]*payments.Aggregate{{a}, {a, others}} {
		if err := store.Commit(t.Context(), &payments.Changes{Aggregates: aggregates}); !errors.Is(err, payments.ErrRaced) {
			t.Errorf("Commit = %v, want ErrRaced", err)
		}
	}
	snapshot, err := store.Load(t.Context(), payments.Lookup{OrderIDs: []string{"o1", "o2"}})
	if err != nil || len(snapshot.Aggregates) > 0 {
		t.Errorf("got %d orders (%v), want none", len(snapshot.Aggregates), err)
	}
}

// A value that the database cannot store has its own class of error, and the
// connections still work.
func TestUnstorableValues(t *testing.T) {
	_, store := migrated(t)
	letter := &payments.DeadLetter{Key: payments.Key{Provider: "p", EventID: "e"}, Detail: "a \x00 in a text", CreatedAt: storetest.TrafficStart}
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
