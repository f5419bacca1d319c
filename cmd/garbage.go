package cmd

import (
	"errors"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// garbagePercent lets the heap grow to five times of what lives before it is
// collected, where Go's own default is twice. Mostly little lives here, a few MiB,
// and each webhook leaves some 10 KiB of garbage: at the default a third of the
// processor time of a busy process goes into collecting it.
const garbagePercent = 400

// relaxGarbageCollection leaves an operator's own GOGC alone.
func relaxGarbageCollection() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}

// limitMemory has garbage collected sooner when it comes near 90% of what the
// process's container, or its cgroup, may have: in an outage 64 MiB of records can
// wait in a queue, and five times that is more than many a container. It leaves
// an operator's own GOMEMLIMIT alone.
func limitMemory(ofContainer memlimit.Provider, log *slog.Logger) {
	_, err := memlimit.Set(memlimit.WithProvider(ofContainer))
	if err != nil && !errors.Is(err, memlimit.ErrNoCgroup) && !errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		log.Warn("memory is not limited to what the container has: set GOMEMLIMIT", "error", err)
	}
}
