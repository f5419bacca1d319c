package history

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestWatchStalls: the watch records for how long it did not run.
func TestWatchStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := int64(0)
		reads := 0
		w := WatchStalls(func() int64 {
			if reads++; reads == 5 {
				clock += 700_000
			}
			clock += tick.Microseconds()
			return clock
		})
		time.Sleep(10 * tick)
		stalls := w.Stop()
		if len(stalls) != 1 || stalls[0].To-stalls[0].From != 700_000 {
			t.Errorf("Stop() = %v, want one stall of 700,000 microseconds", stalls)
		}
	})
}
