package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/modules/payments"
)

// refusal is an answer other than 2xx.
type refusal struct {
	status  int
	code    string // stable, snake_case
	message string // what is wrong and how to mend it
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

func badRequest(code, message string) error {
	return &refusal{http.StatusBadRequest, code, message}
}

var (
	errNotFound       = &refusal{http.StatusNotFound, "not_found", "nothing is served under this path; webhooks go to /webhooks/payments/orders or /webhooks/payments/chargebacks"}
	errMethod         = &refusal{http.StatusMethodNotAllowed, "method_not_allowed", "send webhooks with POST"}
	errMediaType      = &refusal{http.StatusUnsupportedMediaType, "unsupported_media_type", "send the webhook as application/json in UTF-8"}
	errEncoding       = &refusal{http.StatusUnsupportedMediaType, "unsupported_encoding", "send the webhook without a Content-Encoding"}
	errTooManyHeaders = &refusal{http.StatusRequestHeaderFieldsTooLarge, "too_many_headers", fmt.Sprintf("send at most %d header fields", maxHeaderFields)}
	errEmptyBody      = badRequest("empty_body", "the body is empty; send the webhook as a JSON object")
	errInvalidBody    = badRequest("invalid_body", "the body's chunks are not written as HTTP/1.1 has them; send the webhook with a Content-Length")
	errBodyIncomplete = &refusal{http.StatusServiceUnavailable, "body_incomplete", "the body did not arrive completely in time; send the webhook again"}
	errOverloaded     = &refusal{http.StatusServiceUnavailable, "overloaded", "too many webhooks are in flight; send this one again"}
	errUnavailable    = &refusal{http.StatusServiceUnavailable, "unavailable", "the webhook may not have been stored; send it again"}
	errInternal       = &refusal{http.StatusInternalServerError, "internal", "an error of ours; the log tells more under the request id"}
)

// applyError marks an error as one of the Applier: only payments.ErrTooLarge is
// final, whatever else the error wraps.
type applyError struct{ error }

func (e applyError) Unwrap() error { return e.error }

// refusalOf is the one place that decides which error gets which answer.
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
		return &refusal{http.StatusRequestEntityTooLarge, "body_too_large", fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)}
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

// errorAnswer is the shape of every error, here and at the api.
type errorAnswer struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// refuse is where every error ends: it answers and logs.
func (s *Server) refuse(err error, c echo.Context) {
	if c.Response().Committed {
		s.log.Debug("answer not delivered", "request_id", requestID(c), "error", err)
		return
	}
	r := refusalOf(err)
	s.logRefusal(c, r, err)
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
		s.log.Debug("answer not delivered", "request_id", requestID(c), "error", err)
	}
}

// logRefusal keeps the client's mistakes quiet, and ours loud.
func (s *Server) logRefusal(c echo.Context, r *refusal, err error) {
	level := slog.LevelInfo
	switch {
	case r == errInternal:
		level = slog.LevelError
	case r.status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	}
	s.log.LogAttrs(c.Request().Context(), level, "webhook refused",
		slog.String("request_id", requestID(c)), slog.Int("status", r.status), slog.String("code", r.code),
		slog.String("remote", c.RealIP()), slog.Any("error", err))
}
