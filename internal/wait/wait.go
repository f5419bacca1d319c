// Package wait has the two ways in which tests wait: for a condition, and for a
// moment that a context may end. It is for tests and for the programs of e2e.
package wait

import (
	"context"
	"testing"
	"time"
)

// poll is the period in which Until evaluates its condition.
const poll = 10 * time.Millisecond

// Until waits until the condition is true, and ends the test if that takes longer
// than within. what describes the condition in the failure.
func Until(tb testing.TB, within time.Duration, what string, condition func() bool) {
	tb.Helper()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for deadline := time.After(within); !condition(); {
		select {
		case <-ticker.C:
		case <-deadline:
			tb.Fatalf("timed out after %s: %s", within, what)
		}
	}
}

// Pause returns after d, or earlier if ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
