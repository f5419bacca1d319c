package batch

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Many callers apply updates of several orders each. Every call gets the outcomes of its
// own updates, and the updates of an order stay in their order.
func TestManyCallers(t *testing.T) {
	const callers, calls = 64, 50
	var mu sync.Mutex
	last := make(map[string]int)
	largest := 0
	next := payments.ApplierFunc(func(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		mu.Lock()
		defer mu.Unlock()
		largest = max(largest, len(updates))
		for _, u := range updates {
			n, _ := strconv.Atoi(u.GetEventId())
			if before, known := last[u.GetOrderId()]; known && n != before+1 {
				t.Errorf("order %s: update %d follows %d, want %d", u.GetOrderId(), n, before, before+1)
			}
			last[u.GetOrderId()] = n
		}
		return answers(updates), nil
	})
	b := New(next, Config{Shards: 4, MaxBatch: 100, MaxWaitingBytes: 10 << 12 * callers, Timeout: time.Minute})
	var done sync.WaitGroup
	for caller := range callers {
		done.Go(func() {
			for n := range calls {
				updates := []*payrelayv1.Update{
					numbered(fmt.Sprint("x", caller), 2*n), numbered(fmt.Sprint("y", caller), n), numbered(fmt.Sprint("x", caller), 2*n+1),
				}
				outcomes, err := b.Apply(context.Background(), updates)
				if want := fmt.Sprint(2*n, n, 2*n+1); err != nil || answered(outcomes) != want {
					t.Errorf("Apply() = %q, %v, want %q", answered(outcomes), err, want)
				}
			}
		})
	}
	done.Wait()
	b.Close()
	if len(last) != 2*callers || largest > 100 {
		t.Errorf("%d orders in batches of up to %d, want %d and at most 100", len(last), largest, 2*callers)
	}
}

// Many callers run into full queues and a closing batcher. An update is applied if its
// call returns no error, and every call returns.
func TestManyCallersWithABatcherThatCloses(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]bool)
	next := payments.ApplierFunc(func(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, u := range updates {
			seen[u.GetOrderId()+"/"+u.GetEventId()] = true
		}
		return answers(updates), nil
	})
	b := New(next, Config{Shards: 2, MaxBatch: 8, MaxWaitingBytes: 16 << 12, Timeout: time.Minute})
	half := make(chan struct{})
	var progress, done sync.WaitGroup
	for caller := range 64 {
		progress.Add(1)
		done.Go(func() {
			orderID := fmt.Sprint("o", caller)
			for n := range 100 {
				if n == 50 {
					progress.Done()
				}
				_, err := b.Apply(context.Background(), []*payrelayv1.Update{numbered(orderID, n)})
				switch {
				case errors.Is(err, ErrOverloaded), errors.Is(err, ErrClosed):
				case err != nil:
					t.Error(err)
				default:
					mu.Lock()
					if !seen[orderID+"/"+strconv.Itoa(n)] {
						t.Errorf("Apply(%s/%d) = nil error, but the update was not applied", orderID, n)
					}
					mu.Unlock()
				}
			}
		})
	}
	go func() { progress.Wait(); close(half) }()
	<-half
	b.Close()
	done.Wait()
}
