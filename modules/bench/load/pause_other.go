//go:build !linux

package load

import "time"

// pause waits until a time.
func pause(until time.Time) { time.Sleep(time.Until(until)) }
