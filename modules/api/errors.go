package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"connectrpc.com/connect"
	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/modules/payments"
)

// coded is an error that says in a word what is wrong, and in its message how
// to mend it. Errors of the domain are coded when the caller is to blame.
type coded interface {
	error
	Code() string
}

// Error is an answer to a request that cannot be served.
type Error struct{ code, message string }

// Code is the stable snake_case name of what is wrong.
func (e *Error) Code() string  { return e.code }
func (e *Error) Error() string { return e.message }

const (
	codeInternal    = "internal"
	codeUnavailable = "unavailable"
	codeDeadline    = "deadline_exceeded"
)

// meanings is the one place where what went wrong becomes a code of the RPC
// protocols and a status of HTTP. A code that is not here is the caller's
// mistake: invalid_argument and 400.
var meanings = map[string]struct {
	rpc    connect.Code
	status int
}{
	"unauthenticated":        {connect.CodeUnauthenticated, http.StatusUnauthorized},
	"cross_origin":           {connect.CodePermissionDenied, http.StatusForbidden},
	"not_found":              {connect.CodeNotFound, http.StatusNotFound},
	"method_not_allowed":     {connect.CodeUnimplemented, http.StatusMethodNotAllowed},
	"body_too_large":         {connect.CodeResourceExhausted, http.StatusRequestEntityTooLarge},
	"unsupported_media_type": {connect.CodeInvalidArgument, http.StatusUnsupportedMediaType},
	"unsupported_encoding":   {connect.CodeUnimplemented, http.StatusUnsupportedMediaType},
	codeInternal:             {connect.CodeInternal, http.StatusInternalServerError},
	codeUnavailable:          {connect.CodeUnavailable, http.StatusServiceUnavailable},
	codeDeadline:             {connect.CodeDeadlineExceeded, http.StatusServiceUnavailable},
}

func rpcCode(code string) connect.Code {
	if meaning, ok := meanings[code]; ok {
		return meaning.rpc
	}
	return connect.CodeInvalidArgument
}

func httpStatus(code string) int {
	if meaning, ok := meanings[code]; ok {
		return meaning.status
	}
	return http.StatusBadRequest
}

// rpcError is err for a caller over RPC.
func rpcError(err error) *connect.Error {
	answer := describe(err)
	return connect.NewError(rpcCode(answer.code), answer)
}

// describe is err for the caller: the code and a message that gives nothing of
// this process away. What it does not know is "internal".
func describe(err error) *Error {
	var known coded
	var routing *echo.HTTPError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return &Error{known.Code(), payments.ErrorMessage(known.Error())}
	case errors.As(err, &tooLarge):
		return &Error{"body_too_large", "the body is larger than this listener reads: send less at once"}
	case errors.As(err, &routing) && routing.Code == http.StatusNotFound:
		return &Error{"not_found", "there is nothing at this path: check it for typing errors"}
	case errors.As(err, &routing) && routing.Code == http.StatusMethodNotAllowed:
		return &Error{"method_not_allowed", "this path does not take this method: the Allow header names those it does"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &Error{codeDeadline, "it took too long and the outcome is not known: send the same again"}
	default:
		return &Error{codeInternal, "something went wrong here: look for the request id in this process's log"}
	}
}

// errorHandler answers every error of an echo route in the one shape that
// people and their programs get.
func errorHandler(log *slog.Logger) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		if c.Response().Committed {
			return
		}
		answer := describe(err)
		status := httpStatus(answer.code)
		id := c.Response().Header().Get(echo.HeaderXRequestID)
		if answer.code == codeInternal {
			log.Error("request failed", "request_id", id, "method", c.Request().Method, "path", c.Path(), "error", err)
		}
		if status == http.StatusServiceUnavailable {
			c.Response().Header().Set(echo.HeaderRetryAfter, "1")
		}
		// A write that fails has no one left to tell.
		_ = c.JSON(status, map[string]any{"error": map[string]string{
			"code": answer.code, "message": answer.message, "request_id": id,
		}})
	}
}
