package cmd

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryGoal is the memory, in bytes, up to which Go's runtime lets garbage wait.
	// Without a limit, GOGC makes several times of what thousands of connections hold,
	// which a stranger can open. It is more than a busy process needs otherwise; the pages
	// of the program, some 30 MiB, come on top.
	memoryGoal = 176 << 20
	// memoryLook is the time between changes of the limit.
	memoryLook = 100 * time.Millisecond
)

// followMemory keeps a limit of memory that leaves room for what is live, until ctx ends.
// It is at most the limit that is set before, and none is set if the operator sets
// GOMEMLIMIT.
func followMemory(ctx context.Context) error {
	if os.Getenv("GOMEMLIMIT") != "" {
		<-ctx.Done()
		return nil
	}
	most := debug.SetMemoryLimit(-1)
	tick := time.NewTicker(memoryLook)
	defer tick.Stop()
	for {
		debug.SetMemoryLimit(memoryLimit(memoryInUse(), most))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// memoryInUse returns the bytes that no collection frees: the objects that the last one
// found live, the stacks, and what the runtime needs itself.
func memoryInUse() (bytes int64) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/memory/classes/metadata/mspan/inuse:bytes"},
		{Name: "/memory/classes/metadata/other:bytes"}, {Name: "/memory/classes/other:bytes"}, {Name: "/memory/classes/profiling/buckets:bytes"},
	}
	metrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 { // else this release of Go does not have it
			bytes += int64(s.Value.Uint64())
		}
	}
	return bytes
}

// memoryLimit returns the limit for a number of bytes in use. A quarter of them may be
// garbage even above memoryGoal, so that collections do not take all processor time.
func memoryLimit(inUse, most int64) int64 {
	return min(most, max(memoryGoal, inUse+inUse/4))
}
