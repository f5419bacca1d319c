//go:build !linux

package load

import "time"

// pause waits until the given time.
func pause(until time.Time) { time.Sleep(time.Until(until)) }
