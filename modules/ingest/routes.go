package ingest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"
)

// maxHeaderFields is far above what any provider or proxy sends.
const maxHeaderFields = 100

func (s *Server) routes() http.Handler {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect() // headers that name another address are the sender's claim
	e.HTTPErrorHandler = s.refuse
	e.Use(identify, recoverPanics, limitHeaders)
	for path, decode := range map[string]decoder{
		"/webhooks/payments/orders":      decodeGenericOrder,
		"/webhooks/payments/chargebacks": decodeGenericDispute,
	} {
		e.POST(path, s.webhook(decode))
		e.OPTIONS(path, func(echo.Context) error { return errMethod }) // echo would answer 204
	}
	return e
}

// identify gives the request an id of our own: one from the client could be
// forged or repeated.
func identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderXRequestID, rand.Text())
		return next(c)
	}
}

func requestID(c echo.Context) string {
	return c.Response().Header().Get(echo.HeaderXRequestID)
}

// recoverPanics turns a panic into an error, for the answer and the log.
func recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
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

// limitHeaders bounds the number of header fields; net/http bounds their size.
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
