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
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
)

const (
	// maxMessageBytes is the largest size of one RPC message or REST body.
	maxMessageBytes = 1 << 20
	// maxRequestBytes is the most that is read of any request body, with the framing
	// of its protocol.
	maxRequestBytes = 2 << 20
	// internalDrain gives a call in flight its whole timeout.
	internalDrain = applyTimeout + time.Second
)

// NewInternal returns the server of the internal listener, to which the ingest role
// sends updates. It serves RelayService over Connect, gRPC and gRPC-Web, the REST routes under
// /internal/, gRPC health checks, which need no token, and gRPC reflection.
func NewInternal(cfg Config, listener net.Listener, relay *Relay, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	handler := http.MaxBytesHandler(cfg.wrapped(internalRoutes(cfg, relay, log)), maxRequestBytes)
	server := newServer("internal listener", listener, internalDrain, handler, log)
	server.http.Protocols.SetHTTP2(true) // with TLS
	server.http.Protocols.SetUnencryptedHTTP2(true)
	return server, nil
}

func internalRoutes(cfg Config, relay *Relay, log *slog.Logger) http.Handler {
	e := newEcho(log)
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(maxMessageBytes),
		// Without gzip, a compressed call is refused before it is decompressed.
		connect.WithCompression("gzip", nil, nil),
	}
	var rpcPaths []string
	mount := func(path string, handler http.Handler) string {
		e.Any(path+"*", echo.WrapHandler(handler))
		rpcPaths = append(rpcPaths, path)
		return path
	}
	mount(payrelayv1connect.NewRelayServiceHandler(relay, append(options, connect.WithInterceptors(cfg.Interceptors...))...))
	// Health is always SERVING: while the process drains, its listener is closed.
	health := mount(grpchealth.NewHandler(grpchealth.NewStaticChecker(payrelayv1connect.RelayServiceName), options...))
	reflector := grpcreflect.NewStaticReflector(payrelayv1connect.RelayServiceName, grpchealth.HealthV1ServiceName)
	mount(grpcreflect.NewHandlerV1(reflector, options...))
	mount(grpcreflect.NewHandlerV1Alpha(reflector, options...))
	mountREST(e, relay)

	e.Use(cfg.requireToken(under(health), under(rpcPaths...)), refuseOtherMethods)
	return e
}

// under returns a function that reports whether the path of a request has one of
// the prefixes.
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

// requireToken refuses requests without one of the bearer tokens, unless there are no
// tokens or open reports true for the request. Where rpc reports true, the refusal
// takes the form of the RPC protocol of the request.
func (c Config) requireToken(open, rpc func(*http.Request) bool) echo.MiddlewareFunc {
	want := make([][sha256.Size]byte, len(c.InternalTokens))
	for i, token := range c.InternalTokens {
		want[i] = sha256.Sum256([]byte(token))
	}
	errors, report := connect.NewErrorWriter(), c.Unauthenticated
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
				return errors.Write(c.Response(), c.Request(), rpcError(refused))
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
