package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/labstack/echo/v4"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
)

const (
	// maxMessageBytes is what one RPC message or REST body may have.
	maxMessageBytes = 1 << 20
	// maxRequestBytes is what is read of any request, framing included.
	maxRequestBytes = 2 << 20
	// drainTimeout outlasts a call that is under way.
	drainTimeout = applyTimeout + time.Second
)

// Internal is the listener on which the ingest role delivers: RelayService over
// Connect, gRPC and gRPC-Web at its root path, the same as REST under
// /internal/, health and reflection.
type Internal struct {
	listener net.Listener
	http     *http.Server
}

// NewInternal opens the listener, so that a port that is taken fails the start.
func NewInternal(cfg Config, relay *Relay, log *slog.Logger) (*Internal, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.InternalAddr)
	if err != nil {
		return nil, fmt.Errorf("open the internal listener (INTERNAL_ADDR): %w", err)
	}
	server := newHTTPServer(http.MaxBytesHandler(internalRoutes(cfg.InternalToken, relay, log), maxRequestBytes), log)
	server.Protocols.SetUnencryptedHTTP2(true)
	return &Internal{listener: listener, http: server}, nil
}

// newHTTPServer bounds what one client can hold on to.
func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
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
	}
	server.Protocols.SetHTTP1(true)
	return server
}

// Addr is the address listened on, with its real port.
func (in *Internal) Addr() string { return in.listener.Addr().String() }

// Run serves until ctx is cancelled and the calls under way are answered. It
// must be called once, also to release the listener of a start that failed: then
// with a cancelled context.
func (in *Internal) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- in.http.Serve(in.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the internal listener: %w", err)
	case <-ctx.Done():
	}
	err := in.drain()
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("serve the internal listener: %w", err)
	}
	return nil
}

func (in *Internal) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := in.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("calls were cut off after %v: %w", drainTimeout, err), in.http.Close())
	}
	return nil
}

func internalRoutes(token string, relay *Relay, log *slog.Logger) http.Handler {
	e := newEcho(log)
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(maxMessageBytes),
		// Without gzip a compressed call is refused before it is unpacked.
		connect.WithCompression("gzip", nil, nil),
	}
	var rpcPaths []string
	mount := func(path string, handler http.Handler) string {
		e.Any(path+"*", echo.WrapHandler(handler))
		rpcPaths = append(rpcPaths, path)
		return path
	}
	mount(payrelayv1connect.NewRelayServiceHandler(relay, options...))
	// Health is about the process: while it drains, nobody can ask any more.
	health := mount(grpchealth.NewHandler(grpchealth.NewStaticChecker(payrelayv1connect.RelayServiceName), options...))
	reflector := grpcreflect.NewStaticReflector(payrelayv1connect.RelayServiceName, grpchealth.HealthV1ServiceName)
	mount(grpcreflect.NewHandlerV1(reflector, options...))
	mount(grpcreflect.NewHandlerV1Alpha(reflector, options...))
	mountREST(e, relay)

	e.Use(requireToken(token, under(health), under(rpcPaths...)))
	return e
}

// newEcho is a router that answers every error in our shape.
func newEcho(log *slog.Logger) *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = errorHandler(log)
	e.IPExtractor = echo.ExtractIPDirect()
	e.Use(requestID, recovered)
	return e
}

// recovered makes a panic an error like any other; its stack goes to the log.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			cause := recover()
			if cause == http.ErrAbortHandler {
				panic(cause)
			}
			if cause != nil {
				err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
			}
		}()
		return next(c)
	}
}

// under says whether a request's path begins with one of the prefixes.
func under(prefixes ...string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		for _, prefix := range prefixes {
			if strings.HasPrefix(r.URL.Path, prefix) {
				return true
			}
		}
		return false
	}
}
