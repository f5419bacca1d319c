package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/payrelay/payrelay/modules/payments"
)

// wonRace is the constraint of the domain that counts of rows are cast to.
const wonRace = "another_writer_was_first"

// The codes of PostgreSQL that say more than "not now".
const (
	uniqueViolation = "23505"
	// cardinalityViolation is a row given twice in one statement: a dispute that
	// two orders of a batch claim, of which one is too late.
	cardinalityViolation = "21000"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
	// readOnly comes from a server that was the primary, and is not any more.
	readOnly = "25006"
)

// leaveStandby lets go of all connections when a server has become read-only:
// they would outlive a failover, and only a new one is made to the server that
// can be written to.
func (s *Store) leaveStandby(err error) {
	var failed *pgconn.PgError
	if errors.As(err, &failed) && failed.Code == readOnly {
		s.ledger.Reset()
		s.reader.Reset()
	}
}

// classified gives an error of the server its meaning, by its code or by the two
// characters that are its class.
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
	case uniqueViolation, cardinalityViolation, serializationFailure, deadlockDetected:
		return fmt.Errorf("%w: %w", payments.ErrRaced, err)
	}
	switch {
	case failed.ConstraintName == wonRace:
		return payments.ErrRaced
	case inClass(failed, "28", "3D", "3F", "42"):
		return fmt.Errorf("%w: %w", payments.ErrMisconfigured, err)
	case inClass(failed, "22", "23", "54"):
		return fmt.Errorf("%w: %w", payments.ErrUnstorable, err)
	default:
		return err
	}
}

func inClass(failed *pgconn.PgError, classes ...string) bool {
	for _, class := range classes {
		if failed.Code[:2] == class {
			return true
		}
	}
	return false
}

// oneLine is an error that says on a line of its own what each host said.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }

func (e oneLine) Unwrap() error { return e.error }
