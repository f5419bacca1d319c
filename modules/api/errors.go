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

// coded is an error that is meant for the client: a [refusal] or a
// [payments.InvalidError]. Code returns its stable snake_case name, Error a sentence
// that explains how to fix the request.
type coded interface {
	error
	Code() string
}

// refusal is the answer to a request that cannot be served.
type refusal struct{ code, message string }

func (r *refusal) Code() string  { return r.code }
func (r *refusal) Error() string { return r.message }

const (
	codeInternal    = "internal"
	codeUnavailable = "unavailable"
	codeDeadline    = "deadline_exceeded"
)

var errInternal = &refusal{codeInternal, "an internal error occurred: the server's log has the details under this request ID"}

// meanings maps each error code to its code in the RPC protocols and its HTTP
// status. A code that is not listed is the client's mistake: invalid_argument
// and 400.
var meanings = map[string]struct {
	rpc    connect.Code
	status int
}{
	"unauthenticated":        {connect.CodeUnauthenticated, http.StatusUnauthorized},
	"role_required":          {connect.CodePermissionDenied, http.StatusForbidden},
	"cross_origin":           {connect.CodePermissionDenied, http.StatusForbidden},
	"host_not_allowed":       {connect.CodeFailedPrecondition, http.StatusMisdirectedRequest},
	"not_found":              {connect.CodeNotFound, http.StatusNotFound},
	"ambiguous_id":           {connect.CodeFailedPrecondition, http.StatusConflict},
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

// rpcError returns err as an error of the RPC protocols.
func rpcError(err error) *connect.Error {
	answer := describe(err)
	return connect.NewError(rpcCode(answer.code), answer)
}

// describe returns err in the form that the client gets. An error that is not
// meant for the client becomes "internal", without its text.
func describe(err error) *refusal {
	var known coded
	var routing *echo.HTTPError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return &refusal{known.Code(), payments.ErrorMessage(known.Error())}
	case errors.As(err, &tooLarge):
		return &refusal{"body_too_large", "the request body is too large: send a smaller update, or fewer at once"}
	case errors.As(err, &routing) && routing.Code == http.StatusNotFound:
		return &refusal{"not_found", "this path does not exist: check the URL"}
	case errors.As(err, &routing) && routing.Code == http.StatusMethodNotAllowed:
		return &refusal{"method_not_allowed", "this path does not support the method: the Allow header lists those that it supports"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &refusal{codeDeadline, "the request took too long and its outcome is unknown: send the same request again"}
	default:
		return errInternal
	}
}

// errorHandler returns the function that answers every error of an echo route, as
// a JSON object with the code, the message and the request ID.
func errorHandler(log *slog.Logger) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		if c.Response().Committed {
			return
		}
		answer := describe(err)
		status := httpStatus(answer.code)
		if answer.code == codeInternal {
			log.Error("request failed", "request_id", requestID(c), "method", c.Request().Method, "path", c.Path(), "error", err)
		}
		if status == http.StatusServiceUnavailable {
			c.Response().Header().Set(echo.HeaderRetryAfter, "1")
		}
		// A failed write means that the client has disconnected.
		_ = c.JSON(status, map[string]any{"error": map[string]string{
			"code": answer.code, "message": answer.message, "request_id": requestID(c),
		}})
	}
}
