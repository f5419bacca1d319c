package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// pause waits in the kernel until the given time. The timers of the Go runtime
// fire half a millisecond late when the process is idle, which would count as
// latency.
func pause(until time.Time) {
	if d := time.Until(until); d > 0 {
		left := unix.NsecToTimespec(int64(d))
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &left, nil) // the caller checks the clock
	}
}
