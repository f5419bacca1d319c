package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/payrelay/payrelay/modules/payments"
)

// Classes of SQLSTATE codes.
var (
	// misconfiguredClasses are: access denied, no such database, no such schema,
	// and a missing right, table or column.
	misconfiguredClasses = []string{"28", "3D", "3F", "42"}
	// unstorableClasses are invalid value, violated constraint and exceeded limit.
	unstorableClasses = []string{"22", "23", "54"}
)

// wonRace is the constraint of the domain all_written. It is violated after a lost race.
const wonRace = "another_writer_was_first"

// SQLSTATE codes of errors that are not simply temporary.
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
	queryCanceled        = "57014"
	// readOnly comes from a server that is no longer the primary.
	readOnly = "25006"
)

// classified wraps an error of the server with its class in package payments. The
// first two characters of an SQLSTATE code are its class there.
func classified(err error) error {
	var unreachable *pgconn.ConnectError
	if errors.As(err, &unreachable) {
		err = oneLine{err}
	}
	var failed *pgconn.PgError
	if !errors.As(err, &failed) || len(failed.Code) != 5 {
		return err
	}
	switch failed.Code {
	case uniqueViolation, serializationFailure, deadlockDetected:
		return fmt.Errorf("%w: %w", payments.ErrRaced, err)
	}
	switch {
	case failed.ConstraintName == wonRace:
		return payments.ErrRaced
	case slices.Contains(misconfiguredClasses, failed.Code[:2]):
		return fmt.Errorf("%w: %w", payments.ErrMisconfigured, err)
	case slices.Contains(unstorableClasses, failed.Code[:2]):
		return fmt.Errorf("%w: %w", payments.ErrUnstorable, err)
	default:
		return err
	}
}

// oneLine puts an error, which can have a line for each host, on one line.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }

func (e oneLine) Unwrap() error { return e.error }
