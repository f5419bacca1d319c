package operate

import (
	"errors"
	"fmt"

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
	message := payments.ErrorMessage(answer.Message())
	switch answer.Code() {
	case connect.CodeNotFound:
		return flags.WithExit(flags.ExitNotFound, errors.New(message))
	case connect.CodeInvalidArgument, connect.CodeFailedPrecondition:
		return errors.New(message)
	case connect.CodeUnauthenticated:
		return fmt.Errorf("the server does not accept the token: %s: name the file of one with --api-token-file, or set API_TOKEN", message)
	case connect.CodePermissionDenied:
		return fmt.Errorf("the server refuses: %s: a change and a body need a token with the role operator, the rest one with the role reader", message)
	case connect.CodeUnimplemented:
		return fmt.Errorf("the server at api-url (OPERATOR_API_URL) has no such service: name the api listener of a server of this release (%s)", message)
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return fmt.Errorf("the answer did not come: %s: check api-url (OPERATOR_API_URL), and try again", message)
	default:
		return fmt.Errorf("the server answered %s: %s", answer.Code(), message)
	}
}
