package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// Server is the HTTP server of one listener of the api role.
type Server struct {
	// name identifies the listener in errors and logs.
	name string
	// drain is how long requests in flight may take after the server is stopped.
	drain    time.Duration
	listener net.Listener
	http     *http.Server
	log      *slog.Logger
}

func newServer(name string, listener net.Listener, drain time.Duration, handler http.Handler, log *slog.Logger) *Server {
	server := &http.Server{
		Handler:           handler,
		Protocols:         new(http.Protocols),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 128,
			MaxReadFrameSize:     64 << 10,
			SendPingTimeout:      15 * time.Second,
			PingTimeout:          5 * time.Second,
			WriteByteTimeout:     10 * time.Second,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// The router answers "OPTIONS *" as well: it asks for the token and has no
		// such path.
		DisableGeneralOptionsHandler: true,
	}
	server.Protocols.SetHTTP1(true)
	return &Server{name: name, drain: drain, listener: listener, http: server, log: log}
}

// serveHTTP2 makes the server speak HTTP/2 as well, with and without TLS, which gRPC needs.
func (s *Server) serveHTTP2() {
	s.http.Protocols.SetHTTP2(true)
	s.http.Protocols.SetUnencryptedHTTP2(true)
}

// Addr returns the address of the listener with its actual port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx is done or the listener fails, which is the only error.
// Requests in flight are then answered, or cut off after the drain time and
// logged. Run must be called exactly once. After a failed start, call it with a
// cancelled context to close the listener.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- s.http.Serve(s.listener)
	}()
	<-ctx.Done()
	s.stop()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the %s: %w", s.name, err)
	}
	return nil
}

// stop closes the listener and waits for the requests in flight. Requests that
// are cut off are not an error: their clients can send them again, and otherwise
// any slow client could make a stop fail.
func (s *Server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off", "listener", s.name, "after", s.drain, "error", err)
		_ = s.http.Close() // it can only fail to close connections that are given up
	}
}

// newEcho returns a router that answers every error as errorHandler does.
func newEcho(log *slog.Logger) *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = errorHandler(log)
	e.IPExtractor = echo.ExtractIPDirect()
	e.Use(setRequestID, recoverPanic)
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

// keepRequestID puts the request ID into the context of the request, for logs.
func keepRequestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), requestIDKey{}, requestID(c))))
		return next(c)
	}
}

type requestIDKey struct{}

// requestIDOf returns the request ID of a call, or nothing if it came without a listener.
func requestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
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

// refuseOtherMethods answers 405 to every method that a path has no route for.
// Echo itself would answer 204 to OPTIONS, and list OPTIONS in every Allow header.
// It must be the last middleware: the others may refuse the request as a whole.
func refuseOtherMethods(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		allow, mismatch := c.Get(echo.ContextKeyHeaderAllow).(string)
		if !mismatch {
			return next(c)
		}
		c.Response().Header().Set(echo.HeaderAllow, strings.TrimPrefix(allow, "OPTIONS, "))
		return echo.ErrMethodNotAllowed
	}
}
