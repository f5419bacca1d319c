package tracing

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Interceptors returns the interceptors of the calls between the roles, for client and server.
// A call that carries no traced update is not traced.
func (t *Tracer) Interceptors() ([]connect.Interceptor, error) {
	if t == nil {
		return nil, nil
	}
	calls, err := otelconnect.NewInterceptor(otelconnect.WithTracerProvider(t.provider), otelconnect.WithPropagator(propagation.TraceContext{}),
		otelconnect.WithTrustRemote(), otelconnect.WithoutMetrics())
	if err != nil {
		return nil, err
	}
	return []connect.Interceptor{onlyTraced{calls}}, nil
}

// onlyTraced leaves out the unary calls that are not traced.
type onlyTraced struct{ *otelconnect.Interceptor }

// WrapUnary implements [connect.Interceptor].
func (i onlyTraced) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	traced := i.Interceptor.WrapUnary(next)
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		if request.Spec().IsClient && trace.SpanContextFromContext(ctx).IsSampled() || !request.Spec().IsClient && isTraced(request.Header()) {
			return traced(ctx, request)
		}
		return next(ctx, request)
	}
}

func isTraced(header http.Header) bool { return remote(header.Get("Traceparent")).IsSampled() }
