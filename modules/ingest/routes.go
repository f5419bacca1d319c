package ingest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"
)

// maxHeaderFields is far more than any provider or proxy sends.
const maxHeaderFields = 100

// Paths returns the paths that accept webhooks now.
func (s *Server) Paths() []string { return s.sources.Set().Paths() }

func (s *Server) routes() http.Handler {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect() // a header can be forged
	e.HTTPErrorHandler = s.refuse
	e.Use(setRequestID, recoverPanic, limitHeaders)
	// The sources change while the server runs, so the handler finds them.
	e.Any("/webhooks/:source", s.webhook)
	e.Any("/webhooks/:source/:path", s.webhook)
	return e
}

// setRequestID sets the request ID that the answer and the log contain. It ignores
// an ID sent by the client, which need not be unique.
func setRequestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderXRequestID, rand.Text())
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// recoverPanic turns a panic into an error with the stack in its message.
func recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(c)
	}
}

// limitHeaders limits the number of header fields; net/http limits their size.
func limitHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		fields := 0
		for _, values := range c.Request().Header {
			fields += len(values)
		}
		if fields > maxHeaderFields {
			return errTooManyHeaders
		}
		return next(c)
	}
}
