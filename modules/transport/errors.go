package transport

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"github.com/IBM/sarama"
)

var (
	// ErrTooLarge refuses an update that no wire carries. It has a Code() string,
	// "body_too_large".
	ErrTooLarge error = &finalError{code: "body_too_large", message: "an update must not exceed 524288 bytes in all: send a smaller body"}
	// ErrOverloaded says that too many updates already wait for their
	// acknowledgement. Nothing is wrong with this one.
	ErrOverloaded = errors.New("too many updates wait for Kafka's acknowledgement")
	// ErrCircuitOpen says that the far side has failed so often that it is not
	// asked at the moment.
	ErrCircuitOpen = errors.New("the circuit breaker is open because the far side kept failing")
	// ErrClosed says that the client was closed.
	ErrClosed = errors.New("the client is closed")
)

// finalError is a refusal that has a code for the sender of the webhook.
type finalError struct{ code, message string }

func (e *finalError) Code() string  { return e.code }
func (e *finalError) Error() string { return e.message }

// Final says that sending the same batch again cannot help: the far side has
// judged the batch, or this process as its sender, and refused.
func Final(err error) bool { return classify(err) == refused }

// class is what an error tells the decorators. It is decided in one place,
// classify, for all modes.
type class int

const (
	// fine is no error.
	fine class = iota
	// refused is final, and the far side is well.
	refused
	// busy may succeed in a moment, and the far side is well.
	busy
	// unwell may succeed later: the far side, or the way to it, is in trouble.
	unwell
	// broken will not mend itself within a retry, and the far side is to blame.
	broken
	// abandoned says nothing about the far side: the caller went away, or it was
	// not asked.
	abandoned
)

// retryable says that the same call may succeed within the same deadline.
func (c class) retryable() bool { return c == busy || c == unwell }

// blamesPeer says that the error is a reason to leave the far side alone.
func (c class) blamesPeer() bool { return c == unwell || c == broken }

func classify(err error) class {
	var call *connect.Error
	var publish *sarama.ProducerError
	switch {
	case err == nil:
		return fine
	case errors.Is(err, ErrTooLarge):
		return refused
	case errors.Is(err, ErrOverloaded):
		return busy
	case errors.Is(err, ErrCircuitOpen), errors.Is(err, ErrClosed), errors.Is(err, context.Canceled):
		return abandoned
	case errors.As(err, &call):
		return classifyCall(call.Code())
	case errors.As(err, &publish):
		return classifyPublish(publish.Err)
	case errors.Is(err, context.DeadlineExceeded):
		return unwell
	default:
		return broken
	}
}

func classifyCall(code connect.Code) class {
	switch code {
	case connect.CodeAborted:
		return busy
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded,
		// A caller that went away was told apart before: what is left is a
		// connection that the far side reset, which the library reports so.
		connect.CodeCanceled:
		return unwell
	case connect.CodeUnknown, connect.CodeInternal, connect.CodeDataLoss:
		return broken
	default:
		// resource_exhausted is here too: the api role says so of a message above
		// its read limit, while one without capacity is unavailable.
		return refused
	}
}

// classifyPublish trusts Kafka to recover, for nearly all of its errors are
// about a leader that moved or a connection that broke.
func classifyPublish(err error) class {
	var config sarama.ConfigurationError
	switch {
	case errors.As(err, &config),
		errors.Is(err, sarama.ErrTopicAuthorizationFailed),
		errors.Is(err, sarama.ErrClusterAuthorizationFailed),
		errors.Is(err, sarama.ErrSASLAuthenticationFailed),
		errors.Is(err, sarama.ErrInvalidTopic),
		errors.Is(err, sarama.ErrUnsupportedVersion):
		return broken
	default:
		return unwell
	}
}
