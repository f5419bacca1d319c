package sqlite

import (
	"errors"
	"fmt"

	"github.com/payrelay/payrelay/modules/payments"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// classified wraps an error of SQLite with its class in package payments. The lower
// byte of a code is its class.
func classified(err error) error {
	var failed *driver.Error
	if !errors.As(err, &failed) {
		return err
	}
	switch failed.Code() {
	case codes.SQLITE_CONSTRAINT_UNIQUE, codes.SQLITE_CONSTRAINT_PRIMARYKEY:
		return payments.ErrRaced
	}
	switch failed.Code() & 0xff {
	case codes.SQLITE_TOOBIG, codes.SQLITE_CONSTRAINT, codes.SQLITE_MISMATCH:
		return fmt.Errorf("%w: %w", payments.ErrUnstorable, err)
	case codes.SQLITE_READONLY, codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", payments.ErrMisconfigured, err)
	default:
		return err
	}
}
