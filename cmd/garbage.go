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
//
// What waits for Kafka or for calls makes more of ingest live, so five times would
// be more than the 64 MiB that it should need at its highest rate.
const (
	garbagePercent       = 400
	ingestGarbagePercent = 150
)

// relaxGarbageCollection leaves an operator's own GOGC alone.
func relaxGarbageCollection(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
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
