package transport

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/payrelay/payrelay/modules/payments"
)

// errCircuitOpen is returned while the circuit breaker lets no call through.
var errCircuitOpen = errors.New("the circuit breaker is open because the far side kept failing")

// Divides reports whether the error may be about one update of a batch, or about
// the size of the batch, so that sending the updates one by one may help. An error
// about this process as the sender, such as a wrong token, would recur for each of
// them.
func Divides(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, connect.CodeResourceExhausted:
		return true
	default:
		return errors.Is(err, payments.ErrTooLarge)
	}
}

// Class is what an error of Apply means for the retries and the circuit breaker.
type Class int

const (
	fine Class = iota // no error

	// Refused is about the batch, or about this process as its sender: the same
	// call will be refused again, and the far side is well.
	Refused
	// Busy means that the same call may succeed in a moment, and that the far side
	// is well.
	Busy
	// Unwell means that the same call may succeed later, and that the far side or
	// the way to it is in trouble.
	Unwell
	// Broken means that the far side is in trouble that outlasts the retries.
	Broken
	// Abandoned means that nothing is known about the far side: the caller went away,
	// or the far side was not called.
	Abandoned
)

// retryable reports whether the same call may succeed within the same deadline.
func (c Class) retryable() bool { return c == Busy || c == Unwell }

// blamesPeer reports whether the error counts against the far side.
func (c Class) blamesPeer() bool { return c == Unwell || c == Broken }

// WithClass returns err with its class. A wire outside of this package uses it for
// the errors that [ClassOf] cannot know.
func WithClass(err error, class Class) error { return &classified{err, class} }

type classified struct {
	error
	class Class
}

func (c *classified) Unwrap() error { return c.error }

// ClassOf returns the class of an error of Apply, in any mode.
func ClassOf(err error) Class {
	var call *connect.Error
	var known *classified
	switch {
	case err == nil:
		return fine
	case errors.Is(err, payments.ErrTooLarge):
		return Refused
	case errors.Is(err, errCircuitOpen), errors.Is(err, context.Canceled):
		return Abandoned
	case errors.As(err, &call):
		return classOfCall(call.Code())
	case errors.As(err, &known):
		return known.class
	case errors.Is(err, context.DeadlineExceeded):
		return Unwell
	default:
		return Broken
	}
}

func classOfCall(code connect.Code) Class {
	switch code {
	case connect.CodeAborted,
		// The api role has no room for so many updates, a proxy has none for another
		// call, or the answer is larger than this side reads: not an update's fault.
		connect.CodeResourceExhausted:
		return Busy
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded,
		// ClassOf has matched context.Canceled before: this is how the library reports
		// a connection that the far side reset.
		connect.CodeCanceled:
		return Unwell
	case connect.CodeUnknown, connect.CodeInternal, connect.CodeDataLoss:
		return Broken
	default:
		return Refused
	}
}
