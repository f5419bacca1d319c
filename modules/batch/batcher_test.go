package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Most of these tests run in a bubble of testing/synctest. There, synctest.Wait returns
// when every goroutine is blocked, the clock advances only while all are, and a goroutine
// that is left over fails the test.

var errBroken = errors.New("the disk is on fire")

var oneShard = Config{Shards: 1, MaxBatch: 100, MaxWaitingBytes: 1000 << 12, Timeout: 5 * time.Second}

// numbered returns an update of an order with the event id n.
func numbered(orderID string, n int) *payrelayv1.Update {
	return &payrelayv1.Update{OrderId: orderID, EventId: strconv.Itoa(n)}
}

// answers returns outcomes whose reasons are the event ids of their updates.
func answers(updates []*payrelayv1.Update) []*payrelayv1.Outcome {
	outcomes := make([]*payrelayv1.Outcome, len(updates))
	for i, u := range updates {
		n, _ := strconv.Atoi(u.GetEventId())
		outcomes[i] = &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED, Reason: payrelayv1.DeadLetterReason(n)}
	}
	return outcomes
}

// numbers returns the event ids of a batch.
func numbers(updates []*payrelayv1.Update) string {
	ids := make([]string, len(updates))
	for i, u := range updates {
		ids[i] = u.GetEventId()
	}
	return strings.Join(ids, " ")
}

// answered returns the event ids that the outcomes of answers hold.
func answered(outcomes []*payrelayv1.Outcome) string {
	ids := make([]string, len(outcomes))
	for i, o := range outcomes {
		ids[i] = strconv.Itoa(int(o.GetReason()))
	}
	return strings.Join(ids, " ")
}

// stage is an Applier that records each batch, and returns when the test sends an error
// or nil on its gate.
type stage struct {
	mu      sync.Mutex
	batches []string
	gate    chan error
}

func newStage() *stage { return &stage{gate: make(chan error)} }

func (s *stage) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	s.mu.Lock()
	s.batches = append(s.batches, numbers(updates))
	s.mu.Unlock()
	select {
	case err := <-s.gate:
		if err != nil {
			return nil, err
		}
		return answers(updates), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *stage) wantBatches(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.batches, want) {
		t.Errorf("batches = %q, want %q", s.batches, want)
	}
}

// call is a call of Apply in flight.
type call struct {
	done     chan struct{}
	outcomes []*payrelayv1.Outcome
	err      error
}

// begin starts a call, and returns once the call is waiting or has returned.
func begin(ctx context.Context, b *Batcher, updates ...*payrelayv1.Update) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.outcomes, c.err = b.Apply(ctx, updates)
	}()
	synctest.Wait()
	return c
}

// want waits for the call and checks that its outcomes have these numbers.
func (c *call) want(t *testing.T, numbers string) {
	t.Helper()
	<-c.done
	if c.err != nil || answered(c.outcomes) != numbers {
		t.Errorf("Apply() = %q, %v, want %q", answered(c.outcomes), c.err, numbers)
	}
}

func (c *call) wantError(t *testing.T, target error) {
	t.Helper()
	<-c.done
	if !errors.Is(c.err, target) || c.outcomes != nil {
		t.Errorf("Apply() = %d outcomes, %v, want %v", len(c.outcomes), c.err, target)
	}
}

func (c *call) wantWaiting(t *testing.T) {
	t.Helper()
	select {
	case <-c.done:
		t.Errorf("Apply() = %q, %v, want it to wait", answered(c.outcomes), c.err)
	default:
	}
}

func TestALoneCallStartsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		next := payments.ApplierFunc(func(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			return answers(updates), nil
		})
		b := New(next, oneShard)
		defer b.Close()
		for n := range 3 {
			begin(t.Context(), b, numbered("o", n), numbered("o", n+1)).want(t, fmt.Sprint(n, n+1))
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("lone calls took %v, want no wait", waited)
		}
	})
}

func TestCallsDuringABatchFormTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		b := New(next, oneShard)
		defer b.Close()
		first := begin(t.Context(), b, numbered("a", 1))
		second := begin(t.Context(), b, numbered("b", 2), numbered("a", 3))
		third := begin(t.Context(), b, numbered("c", 4))
		next.wantBatches(t, "1")

		next.gate <- nil
		first.want(t, "1")
		synctest.Wait()
		second.wantWaiting(t)
		next.wantBatches(t, "1", "2 3 4")
		next.gate <- nil
		second.want(t, "2 3")
		third.want(t, "4")
		next.wantBatches(t, "1", "2 3 4")
	})
}

func TestABatchHoldsAtMostMaxBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		cfg := oneShard
		cfg.MaxBatch = 3
		b := New(next, cfg)
		defer b.Close()
		calls := []*call{
			begin(t.Context(), b, numbered("a", 1)),
			begin(t.Context(), b, numbered("a", 2), numbered("a", 3)),
			begin(t.Context(), b, numbered("a", 4), numbered("a", 5)), // a call is never split
			begin(t.Context(), b, numbered("a", 6)),
			begin(t.Context(), b, numbered("a", 7), numbered("a", 8), numbered("a", 9), numbered("a", 10)),
			begin(t.Context(), b, numbered("a", 11)),
		}
		for range 5 {
			next.gate <- nil
			synctest.Wait()
		}
		for i, want := range []string{"1", "2 3", "4 5", "6", "7 8 9 10", "11"} {
			calls[i].want(t, want)
		}
		next.wantBatches(t, "1", "2 3", "4 5 6", "7 8 9 10", "11")
	})
}

func TestAFullQueueRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		cfg := oneShard
		cfg.MaxWaitingBytes = 2 << 12
		b := New(next, cfg)
		defer b.Close()
		first := begin(t.Context(), b, numbered("a", 1)) // in flight, so not in the queue
		second := begin(t.Context(), b, numbered("a", 2))
		begin(t.Context(), b, numbered("a", 3), numbered("a", 4)).wantError(t, ErrOverloaded)
		third := begin(t.Context(), b, numbered("a", 5))
		begin(t.Context(), b, numbered("a", 6)).wantError(t, ErrOverloaded)

		next.gate <- nil
		synctest.Wait()
		fourth := begin(t.Context(), b, numbered("a", 7), numbered("a", 8), numbered("a", 9)) // larger than the queue, which is empty
		next.gate <- nil
		synctest.Wait()
		next.gate <- nil
		first.want(t, "1")
		second.want(t, "2")
		third.want(t, "5")
		fourth.want(t, "7 8 9")
		next.wantBatches(t, "1", "2 5", "7 8 9")
	})
}

// Of two shards, the orders "a" and "c" have the same and "b" has the other, as
// TestShardIsStable shows.
func TestShardsWorkConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		cfg := oneShard
		cfg.Shards, cfg.MaxWaitingBytes = 2, 1<<12
		b := New(next, cfg)
		defer b.Close()
		one := begin(t.Context(), b, numbered("a", 1))
		two := begin(t.Context(), b, numbered("b", 2))
		next.wantBatches(t, "1", "2")
		three := begin(t.Context(), b, numbered("c", 3))
		next.wantBatches(t, "1", "2")
		begin(t.Context(), b, numbered("a", 4)).wantError(t, ErrOverloaded)
		four := begin(t.Context(), b, numbered("b", 5)) // the other shard has room
		for range 4 {
			next.gate <- nil
			synctest.Wait()
		}
		one.want(t, "1")
		two.want(t, "2")
		three.want(t, "3")
		four.want(t, "5")
	})
}

func TestOutcomeIAnswersUpdateIOverShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := payments.ApplierFunc(func(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			return answers(updates), nil
		})
		cfg := oneShard
		cfg.Shards = 5
		b := New(next, cfg)
		defer b.Close()
		var updates []*payrelayv1.Update
		var want []string
		for n := range 200 {
			updates = append(updates, numbered(fmt.Sprint("order-", n%17), n))
			want = append(want, strconv.Itoa(n))
		}
		begin(t.Context(), b, updates...).want(t, strings.Join(want, " "))
		begin(t.Context(), b).want(t, "")
	})
}

// A call whose caller gives up is dropped from the queue. A batch in flight continues.
func TestACallerThatGivesUpDoesNotStopItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		b := New(next, oneShard)
		defer b.Close()
		ctx, cancel := context.WithCancel(t.Context())
		first := begin(ctx, b, numbered("a", 1))
		second, third := begin(ctx, b, numbered("a", 2)), begin(t.Context(), b, numbered("a", 3))
		cancel()
		first.wantError(t, context.Canceled)
		second.wantError(t, context.Canceled)
		third.wantWaiting(t)
		next.gate <- nil
		synctest.Wait()
		next.gate <- nil
		third.want(t, "3")
		next.wantBatches(t, "1", "3")
	})
}

func TestABatchHasItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		b := New(next, oneShard)
		defer b.Close()
		start := time.Now()
		first := begin(t.Context(), b, numbered("a", 1))
		time.Sleep(2 * time.Second) // by the clock of the bubble; the second batch begins later
		second := begin(t.Context(), b, numbered("a", 2))
		first.wantError(t, context.DeadlineExceeded)
		second.wantError(t, context.DeadlineExceeded)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("two batches took %v, want 5s each", took)
		}
		// The next batch succeeds.
		third := begin(t.Context(), b, numbered("a", 3))
		next.gate <- nil
		third.want(t, "3")
	})
}

func TestAnErrorFailsEveryCallOfTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		b := New(next, oneShard)
		defer b.Close()
		first := begin(t.Context(), b, numbered("a", 1))
		second, third := begin(t.Context(), b, numbered("a", 2)), begin(t.Context(), b, numbered("b", 3))
		next.gate <- nil
		synctest.Wait()
		next.gate <- errBroken
		first.want(t, "1")
		second.wantError(t, errBroken)
		third.wantError(t, errBroken)
		next.wantBatches(t, "1", "2 3")
	})
}

// A call fails if the batch of one of its shards fails, because its outcome is unknown.
func TestAnErrorOfOneShardFailsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := payments.ApplierFunc(func(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			if updates[0].GetOrderId() == "b" {
				return nil, errBroken
			}
			return answers(updates), nil
		})
		cfg := oneShard
		cfg.Shards = 2
		b := New(next, cfg)
		defer b.Close()
		begin(t.Context(), b, numbered("a", 1), numbered("b", 2)).wantError(t, errBroken)
		begin(t.Context(), b, numbered("a", 1), numbered("c", 2)).want(t, "1 2")
	})
}

func TestDivideKeepsABadCallFromFailingOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errBad, next := errors.New("bad update"), newStage()
		cfg := oneShard
		cfg.Divide = func(err error) bool { return errors.Is(err, errBad) }
		b := New(next, cfg)
		defer b.Close()
		first := begin(t.Context(), b, numbered("a", 1))
		good := begin(t.Context(), b, numbered("a", 2), numbered("a", 3))
		bad, last := begin(t.Context(), b, numbered("b", 4)), begin(t.Context(), b, numbered("a", 5))
		for _, result := range []error{nil, errBad, nil, errBad, nil} {
			next.gate <- result
			synctest.Wait()
		}
		first.want(t, "1")
		good.want(t, "2 3")
		bad.wantError(t, errBad)
		last.want(t, "5")
		next.wantBatches(t, "1", "2 3 4 5", "2 3", "4", "5")

		// A batch is not divided for another error, and a single call cannot be.
		one := begin(t.Context(), b, numbered("a", 6))
		two, three := begin(t.Context(), b, numbered("a", 7)), begin(t.Context(), b, numbered("a", 8))
		next.gate <- errBad
		synctest.Wait()
		next.gate <- errBroken
		one.wantError(t, errBad)
		two.wantError(t, errBroken)
		three.wantError(t, errBroken)
		next.wantBatches(t, "1", "2 3 4 5", "2 3", "4", "5", "6", "7 8")
	})
}

func TestAWrongNumberOfOutcomesIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, answer := range [][]*payrelayv1.Outcome{nil, {{}}, {{}, {}, {}}} {
			b := New(payments.ApplierFunc(func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
				return answer, nil
			}), oneShard)
			c := begin(t.Context(), b, numbered("a", 1), numbered("a", 2))
			<-c.done
			want := fmt.Sprintf("%d outcomes for 2 updates", len(answer))
			if c.err == nil || !strings.Contains(c.err.Error(), want) || c.outcomes != nil {
				t.Errorf("Apply() = %v, %v, want the error %q", c.outcomes, c.err, want)
			}
			b.Close()
		}
	})
}

func TestCloseWaitsForCallsAndRefusesFurtherOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		b := New(next, oneShard)
		first, second := begin(t.Context(), b, numbered("a", 1)), begin(t.Context(), b, numbered("a", 2))
		closed := make(chan struct{})
		go func() {
			b.Close()
			close(closed)
		}()
		synctest.Wait()
		begin(t.Context(), b, numbered("a", 3)).wantError(t, ErrClosed)
		for _, c := range []*call{first, second} {
			select {
			case <-closed:
				t.Error("Close returned while a call was in flight")
			default:
			}
			next.gate <- nil
			<-c.done
			synctest.Wait()
		}
		<-closed
		first.want(t, "1")
		second.want(t, "2")
		begin(t.Context(), b, numbered("a", 4)).wantError(t, ErrClosed)
		b.Close() // a second Close does nothing
		next.wantBatches(t, "1", "2")
	})
}

// Updates that are done must not stay in memory until the queue grows.
func TestTheQueueReleasesUpdates(t *testing.T) {
	b := New(payments.ApplierFunc(func(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		return answers(updates), nil
	}), oneShard)
	gone := func() weak.Pointer[payrelayv1.Update] {
		u := numbered("a", 1)
		if _, err := b.Apply(t.Context(), []*payrelayv1.Update{u}); err != nil {
			t.Fatal(err)
		}
		return weak.Make(u)
	}()
	b.Close()
	runtime.GC()
	if gone.Value() != nil {
		t.Error("an update is still in memory after its batch")
	}
	runtime.KeepAlive(b)
}
