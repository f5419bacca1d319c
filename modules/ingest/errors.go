package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/modules/payments"
)

// refusal is an answer other than 2xx.
type refusal struct {
	status  int
	code    string // stable, in snake_case
	message string // a sentence that explains what is wrong and how to fix it
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

func badRequest(code, message string) error {
	return &refusal{http.StatusBadRequest, code, message}
}

var (
	errNotFound       = &refusal{http.StatusNotFound, "not_found", "this path does not exist: send webhooks to " + strings.Join(Paths(), " or ")}
	errMethod         = &refusal{http.StatusMethodNotAllowed, "method_not_allowed", "this path accepts only POST: send the webhook with POST"}
	errMediaType      = &refusal{http.StatusUnsupportedMediaType, "unsupported_media_type", "the body is not declared as JSON in UTF-8: send it with Content-Type: application/json"}
	errEncoding       = &refusal{http.StatusUnsupportedMediaType, "unsupported_encoding", "the body has a Content-Encoding: send it without"}
	errTooManyHeaders = &refusal{http.StatusRequestHeaderFieldsTooLarge, "too_many_headers", fmt.Sprintf("the request has too many header fields: send at most %d", maxHeaderFields)}
	errEmptyBody      = badRequest("empty_body", "the body is empty: send the webhook as a JSON object")
	errInvalidBody    = badRequest("invalid_body", "the chunked encoding of the body is malformed: send the webhook with a Content-Length")
	errBodyIncomplete = &refusal{http.StatusServiceUnavailable, "body_incomplete", "the body did not arrive completely in time: send the webhook again"}
	errOverloaded     = &refusal{http.StatusServiceUnavailable, "overloaded", "too many webhooks are in flight: send the webhook again later"}
	errUnavailable    = &refusal{http.StatusServiceUnavailable, "unavailable", "the webhook may not have been stored: send it again"}
	errInternal       = &refusal{http.StatusInternalServerError, "internal", "an internal error occurred: the server's log has the details under this request ID"}
)

// applyError wraps an error of [payments.Applier]. Of those, only
// payments.ErrTooLarge is final, whatever else the error wraps.
type applyError struct{ error }

func (e applyError) Unwrap() error { return e.error }

// refusalOf returns the answer to an error. An error that is not known here is
// internal.
func refusalOf(err error) *refusal {
	if own, ok := errors.AsType[*refusal](err); ok {
		return own
	}
	if failed, ok := errors.AsType[applyError](err); ok {
		if errors.Is(failed.error, payments.ErrTooLarge) {
			return &refusal{http.StatusRequestEntityTooLarge, "body_too_large", payments.ErrTooLarge.Error()}
		}
		return errUnavailable
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &refusal{http.StatusRequestEntityTooLarge, "body_too_large", fmt.Sprintf("the body has more than %d bytes: send a smaller webhook", tooLarge.Limit)}
	}
	if invalid, ok := errors.AsType[*payments.InvalidError](err); ok {
		return &refusal{http.StatusBadRequest, invalid.Code(), invalid.Error()}
	}
	if routing, ok := errors.AsType[*echo.HTTPError](err); ok {
		if routing.Code == http.StatusMethodNotAllowed {
			return errMethod
		}
		if routing.Code == http.StatusNotFound {
			return errNotFound
		}
	}
	return errInternal
}

// errorAnswer is the body of every refusal. The api role answers errors in the same
// form.
type errorAnswer struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// refuse is the error handler of echo: it answers and logs every error.
func (s *Server) refuse(err error, c echo.Context) {
	if c.Response().Committed {
		s.log.Debug("the answer was not delivered", "request_id", requestID(c), "error", err)
		return
	}
	r := refusalOf(err)
	level := slog.LevelInfo // the client's mistake
	switch {
	case r == errInternal:
		level = slog.LevelError
	case r.status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("request_id", requestID(c)), slog.Int("status", r.status), slog.String("code", r.code),
		slog.String("remote", c.RealIP()), slog.String("path", payments.ErrorMessage(c.Request().URL.Path)), slog.Any("error", err),
	}
	if of, ok := errors.AsType[*bodyError](err); ok {
		attrs = append(attrs, of.attrs()...)
	}
	s.log.LogAttrs(c.Request().Context(), level, "webhook refused", attrs...)

	header := c.Response().Header()
	switch r.status {
	case http.StatusServiceUnavailable:
		header.Set(echo.HeaderRetryAfter, "1")
	case http.StatusMethodNotAllowed:
		header.Set(echo.HeaderAllow, http.MethodPost)
	case http.StatusRequestEntityTooLarge:
		header.Set(echo.HeaderConnection, "close") // the rest of the body is not read
	}
	answer := errorAnswer{errorBody{r.code, payments.ErrorMessage(r.message), requestID(c)}}
	if err := c.JSON(r.status, answer); err != nil {
		s.log.Debug("the answer was not delivered", "request_id", requestID(c), "error", err)
	}
}
