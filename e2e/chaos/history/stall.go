package history

import (
	"context"
	"sync"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
)

// Stall is a time in which the process that tests got no processor, so that it
// could not measure how long anything took. Times are microseconds since the run
// began.
type Stall struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

const (
	// tick is the period in which the watch reads the clock.
	tick = 20 * time.Millisecond
	// minStall is the shortest delay of a tick that counts as a stall.
	minStall = 40 * time.Millisecond
)

// StallWatch records the stalls of this process.
type StallWatch struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	stalls []Stall
}

// WatchStalls starts a watch by a clock in microseconds.
func WatchStalls(now func() int64) *StallWatch {
	ctx, stop := context.WithCancel(context.Background())
	w := &StallWatch{stop: stop}
	w.done.Go(func() {
		for last := now(); ctx.Err() == nil; {
			wait.Pause(ctx, tick)
			at := now()
			if late := Micros(at-last) - tick; late > minStall {
				w.stalls = append(w.stalls, Stall{at - late.Microseconds(), at})
			}
			last = at
		}
	})
	return w
}

// Stop ends the watch and returns the stalls.
func (w *StallWatch) Stop() []Stall {
	w.stop()
	w.done.Wait()
	return w.stalls
}

// overlap returns the microseconds that two spans of time have in common.
func overlap(from, to, otherFrom, otherTo int64) int64 {
	return max(min(to, otherTo)-max(from, otherFrom), 0)
}

// StalledBetween returns how long the tester was stalled within a span of time.
func (h *History) StalledBetween(from, to int64) time.Duration {
	var sum int64
	for _, s := range h.Stalls {
		sum += overlap(from, to, s.From, s.To)
	}
	return Micros(sum)
}
