package cmd

import (
	"os"
	"runtime/debug"
)

// garbagePercent lets the heap grow to five times of what lives before it is
// collected, where Go's own default is twice. Little lives here, a few MiB, and
// each webhook leaves some 10 KiB of garbage: at the default a third of the
// processor time of a busy process goes into collecting it.
const garbagePercent = 400

// relaxGarbageCollection leaves an operator's own GOGC alone.
func relaxGarbageCollection() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}
