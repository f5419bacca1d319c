package api

import (
	"context"
	"log/slog"
	"net/http"
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
	// internalDrain outlasts a call that is under way.
	internalDrain = applyTimeout + time.Second
)

// Internal is the listener on which the ingest role delivers: RelayService over
// Connect, gRPC and gRPC-Web at its root path, the same as REST under
// /internal/, health and reflection.
type Internal struct{ server *server }

// NewInternal opens the listener, so that a port that is taken fails the start.
func NewInternal(cfg Config, relay *Relay, log *slog.Logger) (*Internal, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	handler := http.MaxBytesHandler(internalRoutes(cfg.InternalToken, relay, log), maxRequestBytes)
	server, err := newServer("internal listener (INTERNAL_ADDR)", cfg.InternalAddr, internalDrain, handler, log)
	if err != nil {
		return nil, err
	}
	server.http.Protocols.SetUnencryptedHTTP2(true)
	return &Internal{server}, nil
}

// Addr is the address listened on, with its real port.
func (in *Internal) Addr() string { return in.server.addr() }

// Run serves until ctx is cancelled and the calls under way are answered or cut
// off, which the log tells. It must be called once, also to release the listener
// of a start that failed: then with a cancelled context.
func (in *Internal) Run(ctx context.Context) error { return in.server.run(ctx) }

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

	e.Use(sameOrigin(), requireToken(token, under(health), under(rpcPaths...)), declaredMethods)
	return e
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
