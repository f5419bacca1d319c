package chaos

import (
	"context"
	"sync"
	"time"
)

// Stall is a time in which the process that tests got no processor, and so nobody
// can say how long anybody else took. Times are microseconds since the run began.
type Stall struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

const (
	// tick is how often the watch looks at the clock.
	tick = 20 * time.Millisecond
	// stalled is by how much it has to be late to count.
	stalled = 40 * time.Millisecond
)

// watch notes stalls.
type watch struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	stalls []Stall
}

func startWatch(now func() int64) *watch {
	ctx, stop := context.WithCancel(context.Background())
	w := &watch{stop: stop}
	w.done.Go(func() {
		for last := now(); ctx.Err() == nil; {
			pause(ctx, tick)
			at := now()
			if late := micros(at-last) - tick; late > stalled {
				w.stalls = append(w.stalls, Stall{at - late.Microseconds(), at})
			}
			last = at
		}
	})
	return w
}

// end gives what was noted.
func (w *watch) end() []Stall {
	w.stop()
	w.done.Wait()
	return w.stalls
}

// overlap is how long two spans of time have in common, in microseconds.
func overlap(from, to, otherFrom, otherTo int64) int64 {
	return max(min(to, otherTo)-max(from, otherFrom), 0)
}

// stalledBetween is how much of a span of time the tester was stalled.
func (h *History) stalledBetween(from, to int64) time.Duration {
	var sum int64
	for _, s := range h.Stalls {
		sum += overlap(from, to, s.From, s.To)
	}
	return micros(sum)
}
