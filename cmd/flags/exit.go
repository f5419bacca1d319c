package flags

import (
	"errors"
	"fmt"
)

// The exit codes of the commands, besides 0.
const (
	// ExitError means that the command failed.
	ExitError = 1
	// ExitUsage means that the command line or a setting is invalid, or that several dead
	// letters are selected without --yes.
	ExitUsage = 2
	// ExitDifferences means that the command finished, but found differences, or left dead
	// letters open or skipped them.
	ExitDifferences = 3
	// ExitNotFound means that the order, dispute or dead letter does not exist.
	ExitNotFound = 4
)

// exit is an error with the exit code of the process.
type exit struct {
	code int
	error
}

func (e *exit) Unwrap() error { return e.error }

// WithExit gives an error an exit code. It returns nil for a nil error.
func WithExit(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exit{code, err}
}

// Usagef returns an error about the command line, as fmt.Errorf formats it.
func Usagef(format string, args ...any) error { return &exit{ExitUsage, fmt.Errorf(format, args...)} }

// ExitCode returns the exit code of a command that returned err.
func ExitCode(err error) int {
	var coded *exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.code
	default:
		return ExitError
	}
}
