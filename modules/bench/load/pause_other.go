//go:build !linux

package load

import "time"

// pause waits with a timer of the runtime.
func pause(until time.Time) { time.Sleep(time.Until(until)) }
