package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"connectrpc.com/connect"
	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/modules/payments"
)

func call(code connect.Code) error {
	return fmt.Errorf("relay: %w", connect.NewError(code, errors.New("x")))
}

func publish(err error) error {
	return fmt.Errorf("publish: %w", &sarama.ProducerError{Msg: &sarama.ProducerMessage{}, Err: err})
}

// outcomes of classify, by the question that each decorator asks.
var classified = []struct {
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
	{name: "too large for Kafka with others", err: publish(sarama.ErrMessageSizeTooLarge), retry: true},
	{name: "overloaded", err: fmt.Errorf("publish: %w", errOverloaded), retry: true},
	{name: "open breaker", err: fmt.Errorf("x: %w", errCircuitOpen)},
	{name: "closed client", err: errClosed},
	{name: "caller left", err: fmt.Errorf("x: %w", context.Canceled)},
	{name: "caller left a call", err: connect.NewError(connect.CodeCanceled, context.Canceled)},
	{name: "deadline of the call", err: fmt.Errorf("x: %w", context.DeadlineExceeded), retry: true, blamePeer: true},
	{name: "Kafka away", err: publish(sarama.ErrOutOfBrokers), retry: true, blamePeer: true},
	{name: "Kafka moves a leader", err: publish(sarama.ErrNotLeaderForPartition), retry: true, blamePeer: true},
	{name: "Kafka lacks replicas", err: publish(sarama.ErrNotEnoughReplicas), retry: true, blamePeer: true},
	{name: "Kafka's new epoch", err: publish(sarama.ErrOutOfOrderSequenceNumber), retry: true, blamePeer: true},
	{name: "connection to Kafka", err: publish(io.EOF), retry: true, blamePeer: true},
	{name: "Kafka forbids", err: publish(sarama.ErrTopicAuthorizationFailed), blamePeer: true},
	{name: "settings for Kafka", err: publish(sarama.ConfigurationError("x")), blamePeer: true},
	{name: "anything else", err: errors.New("x"), blamePeer: true},
}

func TestClassify(t *testing.T) {
	for _, test := range classified {
		class := classify(test.err)
		if class.retryable() != test.retry || class.blamesPeer() != test.blamePeer || Divides(test.err) != test.divides {
			t.Errorf("%s: retry %v, blame the peer %v, divide %v", test.name, class.retryable(), class.blamesPeer(), Divides(test.err))
		}
	}
}

func TestOnlyTooLargeHasACode(t *testing.T) {
	for _, test := range classified {
		want := ""
		if errors.Is(test.err, payments.ErrTooLarge) {
			want = "body_too_large"
		}
		// A connect error's own Code returns another type and must not count.
		if got := code(test.err); got != want {
			t.Errorf("%s: code is %q, want %q", test.name, got, want)
		}
	}
}
