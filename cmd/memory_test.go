package cmd

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/payrelay/payrelay/internal/wait"
)

func TestMemoryLimit(t *testing.T) {
	for _, c := range []struct{ inUse, most, want int64 }{
		{20 << 20, math.MaxInt64, memoryGoal},
		{140 << 20, math.MaxInt64, memoryGoal}, // 7,000 connections
		{400 << 20, math.MaxInt64, 500 << 20},  // large bodies
		{20 << 20, 100 << 20, 100 << 20},       // a small container
		{400 << 20, 450 << 20, 450 << 20},
	} {
		if got := memoryLimit(c.inUse, c.most); got != c.want {
			t.Errorf("memoryLimit(%d, %d) = %d, want %d", c.inUse, c.most, got, c.want)
		}
	}
}

// TestFollowMemory: the limit follows what is live up, and down again.
func TestFollowMemory(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	before := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(before)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- followMemory(ctx) }()
	current := func() int64 { runtime.GC(); return debug.SetMemoryLimit(-1) }
	wait.Until(t, 100*memoryLook, "the limit is that of a small process", func() bool { return current() == memoryGoal })
	live := make([]byte, 2*memoryGoal)
	wait.Until(t, 100*memoryLook, "the limit leaves room for what is live", func() bool { return current() > int64(len(live)) })
	runtime.KeepAlive(live)
	live = nil
	wait.Until(t, 100*memoryLook, "the limit is low again", func() bool { return current() == memoryGoal })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
