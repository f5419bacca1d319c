package transport

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

func applyTimes(t *testing.T, a payments.Applier, n int) (last error) {
	t.Helper()
	for range n {
		_, last = a.Apply(t.Context(), one())
	}
	return last
}

func TestBreakerOpensOnlyWhenThePeerIsToBlame(t *testing.T) {
	for _, test := range classes {
		next := &script{errs: repeat(test.err, 100)}
		err := applyTimes(t, newBreaker(next, transporttest.Quiet()), 20)
		want := int64(20)
		if test.blamePeer {
			want = breakerFailures
		}
		if next.calls.Load() != want {
			t.Errorf("%s: %d calls, want %d", test.name, next.calls.Load(), want)
		}
		if opened := errors.Is(err, errCircuitOpen) && test.err != errCircuitOpen; test.blamePeer && !opened {
			t.Errorf("%s: the last error = %v", test.name, err)
		}
	}
}

func TestBreakerCountsFailuresInARow(t *testing.T) {
	down := call(connect.CodeUnavailable)
	next := &script{errs: append(append(repeat(down, 4), nil), repeat(down, 4)...)}
	if err := applyTimes(t, newBreaker(next, transporttest.Quiet()), 10); err != nil {
		t.Errorf("the last error = %v, want nil", err)
	}
}

// A refusal shows that the far side is well. A caller that goes away shows nothing.
func TestBreakerBetweenFailures(t *testing.T) {
	down := call(connect.CodeUnavailable)
	for _, test := range []struct {
		name    string
		between error
		opens   bool
	}{{"refusal", call(connect.CodeInvalidArgument), false}, {"caller left", context.Canceled, true}} {
		next := &script{errs: append(append(repeat(down, 4), test.between), down)}
		err := applyTimes(t, newBreaker(next, transporttest.Quiet()), 7)
		if errors.Is(err, errCircuitOpen) != test.opens {
			t.Errorf("%s: the last error = %v", test.name, err)
		}
	}
}

func TestOpenBreakerAnswersAtOnceAndProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &script{errs: repeat(call(connect.CodeUnavailable), 6)}
		breaker := newBreaker(next, transporttest.Quiet())
		applyTimes(t, breaker, 5)
		start := time.Now()
		err := applyTimes(t, breaker, 100)
		if !errors.Is(err, errCircuitOpen) || !strings.Contains(err.Error(), "circuit breaker is open") || time.Since(start) != 0 {
			t.Errorf("Apply = %v after %v, want %v at once", err, time.Since(start), errCircuitOpen)
		}
		if next.calls.Load() != 5 {
			t.Errorf("%d calls before the first pause, want 5", next.calls.Load())
		}
		time.Sleep(breakerPause + 1)
		applyTimes(t, breaker, 10) // the sixth failure is the probe, and the breaker opens again
		if next.calls.Load() != 6 {
			t.Errorf("%d calls after the first pause, want 6", next.calls.Load())
		}
		time.Sleep(breakerPause + 1)
		if err := applyTimes(t, breaker, 10); err != nil || next.calls.Load() != 16 {
			t.Errorf("after the second pause the last error = %v and %d calls, want nil and 16", err, next.calls.Load())
		}
	})
}

func TestOnlyOneCallProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		down, calls := true, 0
		next := payments.ApplierFunc(func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			calls++
			if down {
				return nil, call(connect.CodeUnavailable)
			}
			<-release
			return nil, nil
		})
		breaker := newBreaker(next, transporttest.Quiet())
		applyTimes(t, breaker, 5)
		down = false
		time.Sleep(breakerPause + 1)
		probed := make(chan error, 1)
		go func() { probed <- applyTimes(t, breaker, 1) }()
		synctest.Wait()
		if err := applyTimes(t, breaker, 3); !errors.Is(err, errCircuitOpen) {
			t.Errorf("Apply during the probe = %v, want %v", err, errCircuitOpen)
		}
		close(release)
		if err := <-probed; err != nil || calls != 6 {
			t.Errorf("the probe = %v after %d calls, want nil after 6", err, calls)
		}
	})
}

// The retries do not wait for an open breaker to close.
func TestRetryDoesNotWaitForTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &script{errs: repeat(call(connect.CodeUnavailable), 1000)}
		resilient := Resilient(next, RetryConfig{Timeout: time.Minute, Attempts: 100, BaseDelay: time.Millisecond, MaxDelay: time.Millisecond}, transporttest.Quiet())
		if _, err := resilient.Apply(t.Context(), one()); !errors.Is(err, errCircuitOpen) {
			t.Errorf("Apply = %v, want %v", err, errCircuitOpen)
		}
		if next.calls.Load() != breakerFailures {
			t.Errorf("%d calls, want %d", next.calls.Load(), breakerFailures)
		}
		start := time.Now()
		if _, err := resilient.Apply(t.Context(), one()); !errors.Is(err, errCircuitOpen) || time.Since(start) != 0 {
			t.Errorf("Apply = %v after %v, want %v at once", err, time.Since(start), errCircuitOpen)
		}
	})
}

// A process is not ready while the breaker is open, and ready after the pause:
// otherwise it would get no call that could probe the far side.
func TestCheckFailsWhileTheBreakerIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &script{errs: repeat(call(connect.CodeUnavailable), breakerFailures+1)}
		circuit := Resilient(next, RetryConfig{Timeout: time.Minute, Attempts: 1}, transporttest.Quiet())
		want := func(when string, open bool) {
			t.Helper()
			if err := circuit.Check(t.Context()); errors.Is(err, errCircuitOpen) != open || (err != nil) != open {
				t.Errorf("%s: Check() = %v, want open = %v", when, err, open)
			}
		}
		want("before any call", false)
		applyTimes(t, circuit, breakerFailures-1)
		want("before the last failure", false)
		applyTimes(t, circuit, 1)
		want("after it", true)
		time.Sleep(breakerPause + 1)
		want("after the pause", false)
		applyTimes(t, circuit, 1)
		want("after a probe that failed", true)
		time.Sleep(breakerPause + 1)
		applyTimes(t, circuit, 1)
		want("after one that succeeded", false)
		if next.calls.Load() != breakerFailures+2 {
			t.Errorf("%d calls, want %d", next.calls.Load(), breakerFailures+2)
		}
	})
}
