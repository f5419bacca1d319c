package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"connectrpc.com/connect"

	"github.com/payrelay/payrelay/modules/payments"
)

func call(code connect.Code) error {
	return fmt.Errorf("relay: %w", connect.NewError(code, errors.New("x")))
}

// classes holds errors, and how the retries, the breaker and the batcher must treat
// them.
var classes = []struct {
	name                      string
	err                       error
	retry, blamePeer, divides bool
}{
	{name: "none", err: nil},
	{name: "unavailable", err: call(connect.CodeUnavailable), retry: true, blamePeer: true},
	{name: "deadline of an attempt", err: call(connect.CodeDeadlineExceeded), retry: true, blamePeer: true},
	{name: "aborted", err: call(connect.CodeAborted), retry: true},
	{name: "reset connection", err: fmt.Errorf("x: %w", connect.NewError(connect.CodeCanceled, syscall.ECONNRESET)), retry: true, blamePeer: true},
	{name: "invalid argument", err: call(connect.CodeInvalidArgument), divides: true},
	{name: "unauthenticated", err: call(connect.CodeUnauthenticated)},
	{name: "permission denied", err: call(connect.CodePermissionDenied)},
	{name: "unimplemented", err: call(connect.CodeUnimplemented)},
	{name: "failed precondition", err: call(connect.CodeFailedPrecondition)},
	{name: "no room at the peer", err: call(connect.CodeResourceExhausted), retry: true, divides: true},
	{name: "internal", err: call(connect.CodeInternal), blamePeer: true},
	{name: "unknown", err: call(connect.CodeUnknown), blamePeer: true},
	{name: "data loss", err: call(connect.CodeDataLoss), blamePeer: true},
	{name: "too large", err: tooLarge(0, 1<<20), divides: true},
	{name: "open breaker", err: fmt.Errorf("x: %w", errCircuitOpen)},
	{name: "caller left", err: fmt.Errorf("x: %w", context.Canceled)},
	{name: "caller left a call", err: connect.NewError(connect.CodeCanceled, context.Canceled)},
	{name: "deadline of the call", err: fmt.Errorf("x: %w", context.DeadlineExceeded), retry: true, blamePeer: true},
	{name: "marked as refused", err: fmt.Errorf("x: %w", WithClass(errors.New("x"), Refused))},
	{name: "marked as busy", err: fmt.Errorf("x: %w", WithClass(errors.New("x"), Busy)), retry: true},
	{name: "marked as unwell", err: fmt.Errorf("x: %w", WithClass(io.EOF, Unwell)), retry: true, blamePeer: true},
	{name: "marked as broken", err: fmt.Errorf("x: %w", WithClass(context.DeadlineExceeded, Broken)), blamePeer: true},
	{name: "marked as abandoned", err: WithClass(errors.New("x"), Abandoned)},
	{name: "anything else", err: errors.New("x"), blamePeer: true},
}

func TestClassOf(t *testing.T) {
	for _, test := range classes {
		class := ClassOf(test.err)
		if class.retryable() != test.retry || class.blamesPeer() != test.blamePeer || Divides(test.err) != test.divides {
			t.Errorf("%s: retryable %v, blamesPeer %v, Divides %v, want %v, %v, %v", test.name, class.retryable(), class.blamesPeer(), Divides(test.err), test.retry, test.blamePeer, test.divides)
		}
	}
}

func TestOnlyTooLargeHasACode(t *testing.T) {
	for _, test := range classes {
		want := ""
		if errors.Is(test.err, payments.ErrTooLarge) {
			want = "body_too_large"
		}
		// The method Code of a connect error returns another type.
		if got := code(test.err); got != want {
			t.Errorf("%s: code %q, want %q", test.name, got, want)
		}
	}
}
