package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/labstack/echo/v4"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
)

const (
	// maxMessageBytes is the largest size of one RPC message or REST body.
	maxMessageBytes = 1 << 20
	// maxRequestBytes is the most that is read of any request body, with the framing
	// of its protocol.
	maxRequestBytes = 2 << 20
)

// service is a service of the contract, and makes its handler.
type service struct {
	name    string
	handler func(...connect.HandlerOption) (string, http.Handler)
}

// mountCalls adds the services, with health checks and reflection, over Connect, gRPC and
// gRPC-Web. It returns the prefix of the paths of health checks, and those of all calls.
func mountCalls(e *echo.Echo, log *slog.Logger, services ...service) (health string, prefixes []string) {
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(maxMessageBytes),
		// Without gzip, a compressed call is refused before it is decompressed.
		connect.WithCompression("gzip", nil, nil),
		connect.WithRecover(func(ctx context.Context, spec connect.Spec, _ http.Header, p any) error {
			log.Error("request failed", "request_id", requestIDOf(ctx), "path", spec.Procedure, "error", fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
			return rpcError(errInternal)
		}),
	}
	mount := func(path string, handler http.Handler) string {
		e.Any(path+"*", echo.WrapHandler(handler))
		prefixes = append(prefixes, path)
		return path
	}
	var names []string
	for _, s := range services {
		mount(s.handler(options...))
		names = append(names, s.name)
	}
	// Health is always SERVING: while the process drains, its listener is closed.
	health = mount(grpchealth.NewHandler(grpchealth.NewStaticChecker(names...), options...))
	reflector := grpcreflect.NewStaticReflector(append(names, grpchealth.HealthV1ServiceName)...)
	mount(grpcreflect.NewHandlerV1(reflector, options...))
	mount(grpcreflect.NewHandlerV1Alpha(reflector, options...))
	return health, prefixes
}

// strictJSON has the messages of a service read as JSON without unknown fields: a field
// that is misspelt would select more than was meant, or act although a dry run was meant.
// Fields that a newer client sends in Protobuf are ignored.
var strictJSON = connect.WithOptions(connect.WithCodec(strictCodec("json")), connect.WithCodec(strictCodec("json; charset=utf-8")))

// strictCodec is a codec of Connect for JSON. Its value is the name of the codec.
type strictCodec string

// Name returns the name of the codec, by which Connect selects it.
func (c strictCodec) Name() string { return string(c) }

// Marshal returns a message as JSON.
func (c strictCodec) Marshal(message any) ([]byte, error) {
	return protojson.Marshal(message.(proto.Message))
}

// Unmarshal reads a message, and returns an error if it has an unknown field.
func (c strictCodec) Unmarshal(text []byte, message any) error {
	return protojson.Unmarshal(text, message.(proto.Message))
}

// under returns a function that reports whether the path of a request has one of
// the prefixes.
func under(prefixes ...string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(r.URL.Path, prefix) })
	}
}

// IsHealthCheck reports whether a request to the public listener checks its health.
func IsHealthCheck(r *http.Request) bool { return under("/" + grpchealth.HealthV1ServiceName + "/")(r) }

// forReaders are the procedures of OperatorService that change and reveal nothing that a
// reader must not see.
var forReaders = []string{
	payrelayv1connect.OperatorServiceListDeadLettersProcedure,
	payrelayv1connect.OperatorServiceCountDeadLettersProcedure,
	payrelayv1connect.OperatorServiceGetDeadLetterProcedure,
	payrelayv1connect.OperatorServiceListSourcesProcedure,
	payrelayv1connect.OperatorServiceListAuditProcedure,
}

// NeedsOperator reports whether a request to the public listener needs an operator. The
// others need a reader.
func NeedsOperator(r *http.Request) bool {
	return under("/"+payrelayv1connect.OperatorServiceName+"/")(r) && !slices.Contains(forReaders, r.URL.Path)
}

// isCall reports whether a request is for a service of the contract or of gRPC.
var isCall = under("/payrelay.", "/grpc.")

var errorWriter = connect.NewErrorWriter()

// RefuseCall answers a call that the policy of the listener refuses, in the RPC protocol
// of the call. It reports false, without an answer, if the request is not a call.
func RefuseCall(w http.ResponseWriter, r *http.Request, code, message string) bool {
	if !isCall(r) || !errorWriter.IsSupported(r) {
		return false
	}
	// A failed write means that the client has disconnected.
	_ = errorWriter.Write(w, r, rpcError(&refusal{code, message}))
	return true
}
