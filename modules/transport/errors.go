package transport

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/modules/payments"
)

var (
	// errOverloaded says that too many updates already wait for their
	// acknowledgement. Nothing is wrong with this one.
	errOverloaded = errors.New("too many updates wait for Kafka's acknowledgement")
	// errCircuitOpen says that the far side has failed so often that it is not
	// asked at the moment.
	errCircuitOpen = errors.New("the circuit breaker is open because the far side kept failing")
	// errClosed says that the client was closed.
	errClosed = errors.New("the client is closed")
)

// Divides says that the error may be about one update of a batch, or about how
// many they are, so that sending them one by one may help. An error about this
// process as the sender, such as a wrong token, would only come again for each.
func Divides(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, connect.CodeResourceExhausted:
		return true
	default:
		return errors.Is(err, payments.ErrTooLarge)
	}
}

// class is what an error tells the decorators. It is decided in one place,
// classify, for all modes.
type class int

const (
	// fine is no error.
	fine class = iota
	// refused judges the batch, or this process as its sender: the same again will
	// be refused again, and the far side is well.
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
	case errors.Is(err, payments.ErrTooLarge):
		return refused
	case errors.Is(err, errOverloaded):
		return busy
	case errors.Is(err, errCircuitOpen), errors.Is(err, errClosed), errors.Is(err, context.Canceled):
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
	case connect.CodeAborted,
		// The api role has no room for so many updates at once, a proxy for another
		// call, or this side for the answer. None of it judges an update.
		connect.CodeResourceExhausted:
		return busy
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded,
		// A caller that went away was told apart before: what is left is a
		// connection that the far side reset, which the library reports so.
		connect.CodeCanceled:
		return unwell
	case connect.CodeUnknown, connect.CodeInternal, connect.CodeDataLoss:
		return broken
	default:
		return refused
	}
}

// classifyPublish trusts Kafka to recover, for nearly all of its errors are
// about a leader that moved or a connection that broke.
func classifyPublish(err error) class {
	var config sarama.ConfigurationError
	switch {
	case errors.Is(err, sarama.ErrMessageSizeTooLarge):
		return busy // of all the records that went together: alone, this one may fit
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
