package storetest

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Traffic makes the updates of ever new orders, as benchmarks need them: each
// order is created, updated and paid, with a body of 400 bytes. It is safe for
// concurrent use.
type Traffic struct {
	sent atomic.Int64
	// Rising ids come in order. Otherwise they come in none, as providers' do, and
	// each goes to another page of an index.
	Rising bool
}

// interleaved is how many of its orders are under way at once.
const interleaved = 1000

// TrafficStart is when the first event happened; one follows each microsecond.
var TrafficStart = time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)

var trafficWalk = []payrelayv1.OrderStatus{orderCreated, orderUpdated, orderSuccess}

// Next is one more update.
func (t *Traffic) Next() *payrelayv1.Update {
	n := t.sent.Add(1) - 1
	round, lane, steps := n/interleaved, n%interleaved, int64(len(trafficWalk))
	order := t.id(round/steps*interleaved + lane)
	at := timestamppb.New(TrafficStart.Add(time.Duration(n) * time.Microsecond))
	body := bytes.Repeat([]byte("x"), 400)
	copy(body, fmt.Sprint(n))
	return &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: fmt.Sprintf("evt-%016x", t.id(n)), OrderId: fmt.Sprintf("order-%016x", order),
		UserId: fmt.Sprintf("user-%016x", order), OccurredAt: at, ReceivedAt: at, RawBody: body,
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
			Status: trafficWalk[round%steps], CreatedAt: at, Amount: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"},
		}},
	}
}

func (t *Traffic) id(n int64) uint64 {
	if t.Rising {
		return uint64(n)
	}
	return uint64(n) * 0x9e3779b97f4a7c15 // a bijection, so no id comes twice
}

// Batch is so many updates.
func (t *Traffic) Batch(size int) []*payrelayv1.Update {
	updates := make([]*payrelayv1.Update, size)
	for i := range updates {
		updates[i] = t.Next()
	}
	return updates
}

// Apply applies updates of a [Traffic], whose verdict can only be applied, or stale
// where concurrent callers overtook each other.
func Apply(tb testing.TB, to payments.Applier, updates []*payrelayv1.Update) {
	outcomes, err := to.Apply(context.Background(), updates)
	if err != nil {
		tb.Error(err)
		return
	}
	for i, o := range outcomes {
		if v := o.GetVerdict(); v != applied && v != stale {
			tb.Errorf("update %v: %v", updates[i], o)
		}
	}
}
