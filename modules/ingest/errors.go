package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
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
	errNotFound        = &refusal{http.StatusNotFound, "not_found", "this path does not exist: send webhooks to /webhooks/ and the name of a source, as docs/webhooks.md describes"}
	errMethod          = &refusal{http.StatusMethodNotAllowed, "method_not_allowed", "this path accepts only POST: send the webhook with POST"}
	errMediaType       = &refusal{http.StatusUnsupportedMediaType, "unsupported_media_type", "the body is not declared as JSON in UTF-8: send it with Content-Type: application/json"}
	errEncoding        = &refusal{http.StatusUnsupportedMediaType, "unsupported_encoding", "the body has a Content-Encoding: send it without"}
	errTooManyHeaders  = &refusal{http.StatusRequestHeaderFieldsTooLarge, "too_many_headers", fmt.Sprintf("the request has too many header fields: send at most %d", maxHeaderFields)}
	errEmptyBody       = badRequest("empty_body", "the body is empty: send the webhook as a JSON object")
	errInvalidBody     = badRequest("invalid_body", "the chunked encoding of the body is malformed: send the webhook with a Content-Length")
	errBodyIncomplete  = &refusal{http.StatusServiceUnavailable, "body_incomplete", "the body did not arrive completely in time: send the webhook again"}
	errAddress         = &refusal{http.StatusForbidden, "address_not_allowed", "this address may not send webhooks of this source: add it to allowed_addresses"}
	errTooManyFailures = &refusal{http.StatusTooManyRequests, "too_many_failures", "too many webhooks of this address were not authentic: fix the signature and send the webhook again later"}
	errRateLimit       = &refusal{http.StatusTooManyRequests, "rate_limited", "too many webhooks arrive per second: send the webhook again later"}
	errOverloaded      = &refusal{http.StatusServiceUnavailable, "overloaded", "too many webhooks are in flight: send the webhook again later"}
	errUnavailable     = &refusal{http.StatusServiceUnavailable, "unavailable", "the webhook may not have been stored: send it again"}
	errInternal        = &refusal{http.StatusInternalServerError, "internal", "an internal error occurred: the server's log has the details under this request ID"}
)

// unverified is an error about a webhook that is not authentic, or not known to be.
type unverified struct {
	error
	source string
}

func (u *unverified) Unwrap() error { return u.error }

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
	if malformed, ok := errors.AsType[*jsonbody.Malformed](err); ok {
		return &refusal{http.StatusBadRequest, malformed.Code, malformed.Message}
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
	s.logRefusal(c, level, err, r)

	header := c.Response().Header()
	switch r.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
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

// logRefusal logs a refusal. Of refusals that anyone can cause at any rate, the log has
// the first and then, from time to time, how many there were.
func (s *Server) logRefusal(c echo.Context, level slog.Level, err error, r *refusal) {
	forged, isForged := errors.AsType[*unverified](err)
	_, ofBody := errors.AsType[*bodyError](err)
	attrs := []slog.Attr{
		slog.String("request_id", requestID(c)), slog.Int("status", r.status), slog.String("code", r.code),
		slog.String("remote", c.RealIP()), slog.String("path", payments.ErrorMessage(c.Request().URL.Path)), slog.Any("error", err),
	}
	if always := ofBody || r == errUnavailable || r == errInternal; isForged || !always {
		kind := " " + r.code
		if isForged {
			level, kind = slog.LevelWarn, forged.source+kind
		}
		suppressed, first := s.bursts.next(kind, time.Now())
		if !first {
			return
		}
		attrs = append(attrs, slog.Int("refused_alike_since", suppressed))
	}
	if of, ok := errors.AsType[*refusedWebhook](err); ok {
		if !isForged {
			of.seen.readIDs(of.body)
		}
		attrs = append(attrs, of.seen.attrs(of.body)...)
	}
	s.log.LogAttrs(c.Request().Context(), level, "webhook refused", attrs...)
}
