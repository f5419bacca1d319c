package api

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// TestExplanationsAreLimited checks how many explanations are made at once, because each
// needs much memory, and that a request which has to wait too long is refused.
func TestExplanationsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reading, most atomic.Int64
		takes := 3 * time.Second
		m := &memory{orders: []payments.Order{{ID: "o"}}, disputes: []payments.Dispute{{DisputeKey: payments.DisputeKey{Source: "s", ID: "d"}}}}
		slow := &slowReader{Reader: m, work: func() {
			most.Store(max(most.Load(), reading.Add(1)))
			time.Sleep(takes)
			reading.Add(-1)
		}}
		q := NewQuery(slow, quiet())
		explain := func(i int) error {
			if i%2 == 0 {
				_, err := q.ExplainDispute(t.Context(), &payrelayv1.ExplainDisputeRequest{Source: "s", DisputeId: "d"})
				return err
			}
			_, err := q.ExplainOrder(t.Context(), &payrelayv1.ExplainOrderRequest{OrderId: "o"})
			return err
		}
		all := func() (errors []error) {
			var group sync.WaitGroup
			var mu sync.Mutex
			for i := range 10 {
				group.Go(func() {
					err := explain(i)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						errors = append(errors, err)
					}
				})
			}
			group.Wait()
			return errors
		}
		begin := time.Now()
		refused := all()
		if len(refused) != 10-maxExplanations || most.Load() != maxExplanations || time.Since(begin) != takes {
			t.Errorf("%d of 10 explanations are refused and %d made at once, in %v, want %d made in %v", len(refused), most.Load(), time.Since(begin), maxExplanations, takes)
		}
		for _, err := range refused {
			wantRefusal(t, "an explanation", err, "unavailable")
		}
		// A short wait is no refusal, and an explanation that is done makes room.
		takes = 100 * time.Millisecond
		if refused := all(); len(refused) != 0 || most.Load() != maxExplanations {
			t.Errorf("%v with %d short explanations at once, want none refused", refused, most.Load())
		}
	})
}

// slowReader calls a function for each explanation.
type slowReader struct {
	Reader
	work func()
}

func (s *slowReader) Events(ctx context.Context, q payments.EventQuery) (payments.Page[payments.RecordedEvent], error) {
	if !q.Disputes || len(q.DisputeIDs) > 0 {
		s.work()
	}
	return s.Reader.Events(ctx, q)
}
