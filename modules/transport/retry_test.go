package transport

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

var retries = RetryConfig{Timeout: 10 * time.Second, Attempts: 4, BaseDelay: 100 * time.Millisecond, MaxDelay: 150 * time.Millisecond}

func TestRetryOnlyWhatMaySucceedLater(t *testing.T) {
	for _, test := range classes {
		synctest.Test(t, func(t *testing.T) {
			next := &script{errs: []error{test.err}}
			_, err := retry(next, retries).Apply(t.Context(), one())
			want := int64(1)
			if test.retry {
				want = 2
			}
			if next.calls.Load() != want {
				t.Errorf("%s: %d attempts, want %d", test.name, next.calls.Load(), want)
			}
			if failed := test.err != nil && !test.retry; failed != (err != nil) || (failed && !errors.Is(err, test.err)) {
				t.Errorf("%s: error = %v", test.name, err)
			}
		})
	}
}

func TestRetryGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := call(connect.CodeUnavailable)
		next := &script{errs: repeat(down, 100)}
		if _, err := retry(next, retries).Apply(t.Context(), one()); !errors.Is(err, down) {
			t.Errorf("error = %v, want %v", err, down)
		}
		if next.calls.Load() != int64(retries.Attempts) {
			t.Errorf("%d attempts, want %d", next.calls.Load(), retries.Attempts)
		}
	})
}

func TestOneAttemptIsNoRetry(t *testing.T) {
	next := &script{errs: repeat(call(connect.CodeUnavailable), 100)}
	cfg := retries
	cfg.Attempts = 1
	if _, err := retry(next, cfg).Apply(t.Context(), one()); err == nil || next.calls.Load() != 1 {
		t.Errorf("error = %v after %d attempts, want one after 1", err, next.calls.Load())
	}
}

func TestRetryDelaysGrowAndJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		distinct := make(map[time.Duration]bool)
		for range 200 {
			next := &script{errs: repeat(call(connect.CodeUnavailable), 3)}
			if _, err := retry(next, retries).Apply(t.Context(), one()); err != nil {
				t.Fatal(err)
			}
			for i, base := range []time.Duration{100 * time.Millisecond, 150 * time.Millisecond, 150 * time.Millisecond} {
				delay := next.at[i+1].Sub(next.at[i])
				if delay < base*3/4 || delay > base*5/4+1 {
					t.Errorf("delay %d = %v, want %v ± 25%%", i, delay, base)
				}
				distinct[delay] = true
			}
		}
		if len(distinct) < 100 {
			t.Errorf("%d different delays, want at least 100: there is no jitter", len(distinct))
		}
	})
}

func TestRetryStaysWithinTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := call(connect.CodeUnavailable)
		next := &script{errs: repeat(down, 100)}
		cfg := RetryConfig{Attempts: 100, BaseDelay: time.Second, MaxDelay: time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := retry(next, cfg).Apply(ctx, one())
		if !errors.Is(err, down) || time.Since(start) > 3*time.Second {
			t.Errorf("error = %v after %v", err, time.Since(start))
		}
		if n := next.calls.Load(); n < 2 || n > 4 {
			t.Errorf("%d attempts, want 2 to 4", n)
		}
	})
}

func TestRetryEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := call(connect.CodeUnavailable)
		next := &script{errs: repeat(down, 100)}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		_, err := retry(next, retries).Apply(ctx, one())
		if !errors.Is(err, context.Canceled) || !errors.Is(err, down) || next.calls.Load() != 1 {
			t.Errorf("error = %v after %d attempts", err, next.calls.Load())
		}
	})
}

func TestDeadlineCoversAllAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := Resilient(hang, retries, transporttest.Quiet()).Apply(t.Context(), one())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != retries.Timeout {
			t.Errorf("error = %v after %v", err, time.Since(start))
		}
	})
}

func TestCircuitCountsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := call(connect.CodeUnavailable)
		next := &script{errs: []error{down, down, nil, call(connect.CodeInvalidArgument), down}}
		circuit := Resilient(next, retries, transporttest.Quiet())
		for i, want := range []uint64{2, 2, 3} { // two repeated, one that is final, one repeated
			_, _ = circuit.Apply(t.Context(), one())
			if got := circuit.Retries(); got != want {
				t.Errorf("Retries() after %d calls = %d, want %d", i+1, got, want)
			}
		}
	})
}
