package operate

import (
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/payments"
)

// explained turns an error of the service into a sentence, with the exit code of its kind.
// It returns other errors unchanged.
func explained(err error) error {
	var answer *connect.Error
	if !errors.As(err, &answer) {
		return err
	}
	doing := strings.TrimSuffix(err.Error(), answer.Error()) // what the command was doing
	message := payments.ErrorMessage(answer.Message())
	switch answer.Code() {
	case connect.CodeNotFound:
		return flags.WithExit(flags.ExitNotFound, fmt.Errorf("%snot found", doing))
	case connect.CodeInvalidArgument, connect.CodeFailedPrecondition:
		return fmt.Errorf("%s%s", doing, message)
	case connect.CodeUnauthenticated:
		return fmt.Errorf("%sthe server does not accept the token: %s: name the file of a valid one with --api-token-file, or set API_TOKEN", doing, message)
	case connect.CodePermissionDenied:
		return fmt.Errorf("%sthe server refuses the request: %s: changes, and reading a body, need a token with the role operator; everything else needs the role reader", doing, message)
	case connect.CodeUnimplemented:
		return fmt.Errorf("%sthe server at api-url (OPERATOR_API_URL) has no such service: name the api listener of a server of this release (%s)", doing, message)
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return fmt.Errorf("%sthere was no answer: %s: check api-url (OPERATOR_API_URL), and try again", doing, message)
	default:
		return fmt.Errorf("%sthe server answered %s: %s", doing, answer.Code(), message)
	}
}

// nothing returns the error about an unknown order or dispute.
func nothing(about string) error {
	return flags.WithExit(flags.ExitNotFound, fmt.Errorf("nothing is recorded about %s", about))
}
