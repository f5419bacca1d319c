package ingest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// formats has the formats of webhooks by the last element of their paths. Each has
// examples in testdata.
var formats = map[string]format{"orders": genericOrder, "chargebacks": genericDispute}

// Paths returns the paths that accept webhooks, those of the built-in source first.
func Paths(sources ...Source) []string {
	paths := pathsOf(builtInPath)
	for _, source := range sources {
		paths = append(paths, pathsOf(source.Name)...)
	}
	return paths
}

func pathsOf(name string) []string {
	var paths []string
	for _, kind := range slices.Sorted(maps.Keys(formats)) {
		paths = append(paths, "/webhooks/"+name+"/"+kind)
	}
	return paths
}

// builtInPath is the element of a path that stands for the source generic.
const builtInPath = "payments"

// maxHeaderFields is far more than any provider or proxy sends.
const maxHeaderFields = 100

func (s *Server) routes() http.Handler {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect() // a header can be forged
	e.HTTPErrorHandler = s.refuse
	e.Use(setRequestID, recoverPanic, limitHeaders)
	mount := func(path string, source Source) {
		e.POST(path, s.webhook(source, formats[path[strings.LastIndexByte(path, '/')+1:]]))
		e.OPTIONS(path, func(echo.Context) error { return errMethod }) // echo would answer 204
	}
	for _, path := range pathsOf(builtInPath) {
		mount(path, Source{Name: genericSource})
	}
	for _, source := range s.cfg.Sources {
		for _, path := range pathsOf(source.Name) {
			mount(path, source)
		}
	}
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
