package chaos

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestWatch: a watch that gets no time to look notes for how long.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := int64(0)
		looks := 0
		w := startWatch(func() int64 {
			if looks++; looks == 5 {
				clock += 700_000
			}
			clock += tick.Microseconds()
			return clock
		})
		time.Sleep(10 * tick)
		stalls := w.end()
		if len(stalls) != 1 || stalls[0].To-stalls[0].From != 700_000 {
			t.Errorf("the stalls are %v", stalls)
		}
	})
}
