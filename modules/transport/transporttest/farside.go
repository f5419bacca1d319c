package transporttest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// patience is how long the suite waits for a condition. It is long because a consumer
// may have to rejoin its group.
const patience = 30 * time.Second

// FarSide is the Applier that a mode delivers to. It records what arrives, dead
// letters included, and can be told to fail or to hang.
type FarSide struct {
	mu      sync.Mutex
	changed *sync.Cond
	applied []*payrelayv1.Update
	letters []*payrelayv1.UndecodableRecord
	fail    int
	blocked bool
	entered int
}

func newFarSide() *FarSide {
	f := new(FarSide)
	f.changed = sync.NewCond(&f.mu)
	return f
}

var errFarSide = errors.New("the far side was told to fail")

// Apply returns APPLIED for each update, unless it was told to fail. Like a database
// that commits, it ignores ctx.
func (f *FarSide) Apply(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entered++
	f.changed.Broadcast()
	for f.blocked {
		f.changed.Wait()
	}
	if f.fail > 0 {
		f.fail--
		return nil, errFarSide
	}
	f.applied = append(f.applied, updates...)
	f.changed.Broadcast()
	outcomes := make([]*payrelayv1.Outcome, len(updates))
	for i := range outcomes {
		outcomes[i] = &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}
	}
	return outcomes, nil
}

// DeadLetter records an undecodable record.
func (f *FarSide) DeadLetter(_ context.Context, record *payrelayv1.UndecodableRecord) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail > 0 {
		f.fail--
		return errFarSide
	}
	f.letters = append(f.letters, record)
	f.changed.Broadcast()
	return nil
}

// Block makes every call hang until unblock is called. It may be called more than
// once.
func (f *FarSide) Block() (unblock func()) {
	set := func(blocked bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.blocked = blocked
		f.changed.Broadcast()
	}
	set(true)
	return func() { set(false) }
}

// failNext makes the next n calls fail.
func (f *FarSide) failNext(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = n
}

// arrived returns the updates that were applied, in their order.
func (f *FarSide) arrived() []*payrelayv1.Update {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.applied)
}

// deadLetters returns the undecodable records that arrived.
func (f *FarSide) deadLetters() []*payrelayv1.UndecodableRecord {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.letters)
}

// calls returns the number of calls of Apply, failed ones included.
func (f *FarSide) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entered
}

// count returns how many times each event id was applied.
func (f *FarSide) count() map[string]int {
	times := make(map[string]int)
	for _, update := range f.arrived() {
		times[update.GetEventId()]++
	}
	return times
}

// wait polls until the condition is true.
func wait(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("timed out after %v waiting for %s", patience, what)
		}
	}
}

// waitApplied waits until each event was applied at least once.
func (f *FarSide) waitApplied(t *testing.T, eventIDs ...string) {
	t.Helper()
	var missing string
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		times := f.count()
		at := slices.IndexFunc(eventIDs, func(id string) bool { return times[id] == 0 })
		if at < 0 {
			return
		}
		missing = eventIDs[at]
		<-time.After(2 * time.Millisecond)
	}
	t.Fatalf("timed out after %v waiting for event %s: %d of %d events were applied", patience, missing, len(f.count()), len(eventIDs))
}
