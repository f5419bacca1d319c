package payments_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/bench/costtest"
	"github.com/payrelay/payrelay/modules/payments"
)

func BenchmarkValidate(b *testing.B) {
	text := make([]byte, 400)
	for name, u := range map[string]*payrelayv1.Update{
		"without body": order("evt-000001", 0, orderCreated, user("u1"), amount(10050, "USD"), func(u *payrelayv1.Update) { u.RawBody = []byte{}; u.BodySha256 = nil }),
		"400 bytes":    order("evt-000001", 0, orderCreated, user("u1"), amount(10050, "USD"), body(string(text))),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := payments.Validate(u); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseMoney(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := payments.ParseMoney("100.50", "USD"); err != nil {
			b.Fatal(err)
		}
	}
}

// constantStore is a store that returns the same values for every call and keeps
// nothing, so that a benchmark measures the work of the ledger alone.
type constantStore struct {
	payments.Store
	snapshot *payments.Snapshot
	history  *payments.Histories
}

func (f constantStore) Load(context.Context, payments.Lookup) (*payments.Snapshot, error) {
	return f.snapshot, nil
}

func (f constantStore) History(context.Context, payments.Subjects, int) (*payments.Histories, error) {
	return f.history, nil
}

func (f constantStore) Commit(context.Context, *payments.Changes) error { return nil }

// BenchmarkFold judges updates that come late into a history of 10,000 events.
func BenchmarkFold(b *testing.B) {
	const events = 500
	store := newMemory(b)
	ledger := payments.NewLedgerAt(store, func() time.Time { return today })
	history := make([]*payrelayv1.Update, events)
	for i := range history {
		history[i] = order(fmt.Sprint("e", i), 2*i, orderUpdated, amount(int64(i), "USD"))
	}
	if _, err := ledger.Apply(b.Context(), history); err != nil {
		b.Fatal(err)
	}
	read, _ := store.History(b.Context(), payments.Subjects{Orders: []string{"o1"}}, 1<<20)
	snapshot, _ := store.Load(b.Context(), payments.Lookup{Subjects: payments.Subjects{Orders: []string{"o1"}}})
	late := payments.NewLedgerAt(constantStore{snapshot: snapshot, history: read}, func() time.Time { return today.Add(24 * time.Hour) })

	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprint("late=", size), func(b *testing.B) {
			batch := make([]*payrelayv1.Update, size)
			for i := range batch {
				batch[i] = order(fmt.Sprint("late", i), 2*(events/2+i)+1, orderUpdated)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := late.Apply(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size), "us/update")
		})
	}
}

// BenchmarkJudge is the hot path: new updates of many orders, without a store.
func BenchmarkJudge(b *testing.B) {
	ledger := payments.NewLedger(constantStore{snapshot: new(payments.Snapshot)})
	for _, size := range []int{1, 16, 256, 1024} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			batch := make([]*payrelayv1.Update, size)
			for i := range batch {
				batch[i] = order(fmt.Sprint("e", i), i, orderCreated, of(fmt.Sprint("o", i)), amount(1, "USD"), body(fmt.Sprintf("%0400d", i)))
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ledger.Apply(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/update")
		})
	}
}

func TestCosts(t *testing.T) {
	update := func(i int) *payrelayv1.Update {
		return order(fmt.Sprint("e", i), i, orderCreated, of(fmt.Sprint("o", i)), amount(1, "USD"), body(fmt.Sprintf("%0400d", i)))
	}
	costtest.Allocations(t, "validate an update", func() {
		if err := payments.Validate(update(1)); err != nil {
			t.Fatal(err)
		}
	})
	ledger := payments.NewLedger(constantStore{snapshot: new(payments.Snapshot)})
	for _, size := range []int{1, 64} {
		batch := make([]*payrelayv1.Update, size)
		for i := range batch {
			batch[i] = update(i)
		}
		costtest.Allocations(t, fmt.Sprintf("judge a batch of %d", size), func() {
			if _, err := ledger.Apply(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
		})
	}
}
