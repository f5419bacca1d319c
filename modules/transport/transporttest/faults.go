package transporttest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// The tests of faults: whatever fails, accepted updates arrive.

func farSideFails(t *testing.T, l *link) {
	l.far.failNext(1)
	update := Order("order-1", "event-1")
	if err := l.apply(t, patience, update); l.verdict != payrelayv1.Verdict_VERDICT_QUEUED && err == nil {
		t.Error("Apply succeeded, want the error of the far side")
	}
	// Sent again by the client, or consumed again from the topic, it is applied.
	l.eventually(t, update)
}

func peerSlow(t *testing.T, l *link) {
	l.mustApply(t, Order("order-1", "before"))
	freeze := l.Freeze
	if freeze == nil {
		freeze = l.far.Block
	}
	thaw := freeze()
	defer thaw()
	if l.Kill != nil { // a call in one process cannot time out
		if err := l.apply(t, 300*time.Millisecond, Order("order-1", "event-1")); err == nil {
			t.Error("Apply succeeded with a peer that hangs")
		}
	}
	thaw()
	l.eventually(t, Order("order-1", "event-1"), Order("order-1", "event-2"))
}

func callerLeaves(t *testing.T, l *link) {
	if l.Kill == nil {
		return
	}
	l.mustApply(t, Order("order-1", "before"))
	freeze := l.Freeze
	if freeze == nil {
		freeze = l.far.Block
	}
	thaw := freeze()
	defer thaw()
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan error, 1)
	go func() {
		_, err := l.Client.Apply(ctx, []*payrelayv1.Update{Order("order-1", "event-1")})
		returned <- err
	}()
	cancel()
	select {
	case err := <-returned:
		if err == nil {
			t.Error("Apply succeeded with a peer that hangs")
		}
	case <-time.After(2 * time.Second):
		t.Error("Apply does not return after its context is cancelled")
	}
	thaw()
	l.eventually(t, Order("order-1", "event-2"))
}

func peerDown(t *testing.T, l *link) {
	if l.Kill == nil {
		return
	}
	l.mustApply(t, Order("order-1", "before"))
	l.Kill()
	for i := range 3 {
		if err := l.apply(t, 400*time.Millisecond, Order("order-1", "event-1")); err == nil {
			t.Errorf("call %d succeeded without a peer", i)
		}
	}
	l.Revive()
	healed := time.Now()
	l.eventually(t, Order("order-1", "event-1"))
	if took := time.Since(healed); took > recovery {
		t.Errorf("the client recovered %v after the peer was back, want at most %v", took.Round(time.Millisecond), recovery)
	}
}

// load applies single updates from eight callers until stop is called, which returns
// the events that were accepted. enough waits until more have been accepted.
func (l *link) load(t *testing.T) (enough func(int), stop func() (accepted []string)) {
	var (
		callers sync.WaitGroup
		mu      sync.Mutex
		taken   []string
		ended   atomic.Bool
	)
	for caller := range 8 {
		callers.Go(func() {
			for i := 0; !ended.Load(); i++ {
				id := fmt.Sprintf("load-%d-%d", caller, i)
				if l.apply(t, 2*time.Second, Order(fmt.Sprintf("order-%d", caller), id)) == nil {
					mu.Lock()
					taken = append(taken, id)
					mu.Unlock()
				}
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(taken)
	}
	enough = func(more int) {
		t.Helper()
		goal := count() + more
		wait(t, "accepted updates", func() bool { return count() >= goal })
	}
	stop = sync.OnceValue(func() []string {
		ended.Store(true)
		callers.Wait()
		return taken
	})
	t.Cleanup(func() { stop() })
	return enough, stop
}

func killUnderLoad(t *testing.T, l *link) {
	if l.Kill == nil {
		return
	}
	enough, stop := l.load(t)
	for range 2 {
		enough(50)
		l.Kill()
		l.Revive()
	}
	enough(50)
	l.far.waitApplied(t, stop()...)
}

func restartUnderLoad(t *testing.T, l *link) {
	if l.Restart == nil {
		return
	}
	enough, stop := l.load(t)
	for range 2 {
		enough(50)
		if err := l.Restart(); err != nil {
			t.Errorf("Restart: %v", err)
		}
	}
	enough(50)
	l.far.waitApplied(t, stop()...)
}

func closeUnderLoad(t *testing.T, l *link) {
	if l.Close == nil {
		return
	}
	enough, stop := l.load(t)
	enough(50)
	if err := l.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	l.far.waitApplied(t, stop()...)
}
