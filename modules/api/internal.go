package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
)

// internalDrain gives a call in flight its whole timeout.
const internalDrain = applyTimeout + time.Second

// NewInternal returns the server of the internal listener, to which the ingest role
// sends updates. It serves RelayService over Connect, gRPC and gRPC-Web, the REST routes under
// /internal/, gRPC health checks, which need no token, and gRPC reflection.
func NewInternal(cfg Config, listener net.Listener, relay *Relay, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	handler := http.MaxBytesHandler(cfg.wrapped(internalRoutes(cfg, relay, log)), maxRequestBytes)
	server := newServer("internal listener", listener, internalDrain, handler, log)
	server.serveHTTP2()
	return server, nil
}

func internalRoutes(cfg Config, relay *Relay, log *slog.Logger) http.Handler {
	e := newEcho(log)
	health, rpcPaths := mountCalls(e, log, service{payrelayv1connect.RelayServiceName, func(options ...connect.HandlerOption) (string, http.Handler) {
		return payrelayv1connect.NewRelayServiceHandler(relay, append(options, connect.WithInterceptors(cfg.Interceptors...))...)
	}})
	mountREST(e, relay)

	e.Use(cfg.requireToken(under(health), under(rpcPaths...)), refuseOtherMethods)
	return e
}

// requireToken refuses requests without one of the bearer tokens, unless there are no
// tokens or open reports true for the request. Where rpc reports true, the refusal
// takes the form of the RPC protocol of the request.
func (c Config) requireToken(open, rpc func(*http.Request) bool) echo.MiddlewareFunc {
	want := make([][sha256.Size]byte, len(c.InternalTokens))
	for i, token := range c.InternalTokens {
		want[i] = sha256.Sum256([]byte(token))
	}
	report := c.Unauthenticated
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if len(want) == 0 || open(c.Request()) || hasToken(c.Request(), want) {
				return next(c)
			}
			if report != nil {
				report(c.Request())
			}
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
			refused := &refusal{"unauthenticated", "the internal token is missing or wrong: send the header Authorization with Bearer and the value of INTERNAL_TOKEN"}
			if rpc(c.Request()) {
				return errorWriter.Write(c.Response(), c.Request(), rpcError(refused))
			}
			return refused
		}
	}
}

// hasToken reports whether the request has a bearer token with one of the digests. It
// compares all of them in constant time, so that its duration reveals neither the
// length nor the content of a token.
func hasToken(r *http.Request, want [][sha256.Size]byte) bool {
	shown, ok := strings.CutPrefix(r.Header.Get(echo.HeaderAuthorization), "Bearer ")
	got := sha256.Sum256([]byte(shown))
	equal := 0
	for _, digest := range want {
		equal |= subtle.ConstantTimeCompare(got[:], digest[:])
	}
	return equal == 1 && ok
}
