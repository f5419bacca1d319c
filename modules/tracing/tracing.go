// Package tracing makes the traces of a process with OpenTelemetry: from the request of a
// provider through the wire of the mode to the commit. It is the only package that imports
// OpenTelemetry; the others get decorators and functions from cmd.
//
// The ingest role decides whether a webhook is traced, by OTEL_TRACES_SAMPLER. Everything
// behind it follows that decision, which each update carries as its traceparent, because
// webhooks of several traces share a call and a transaction. Where updates are handled
// together, there is one span for the batch: it belongs to the trace of the first traced
// update, and has links to all of them.
package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/grpclog"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// closeTimeout is the longest time that Close takes.
const closeTimeout = 3 * time.Second

// Tracer makes the spans of a process. A nil Tracer makes none: its methods return
// their argument.
type Tracer struct {
	provider *sdk.TracerProvider
	spans    trace.Tracer
	mask     func(string) string
	log      *slog.Logger
}

// Config describes the process to a [Tracer].
type Config struct {
	// Version is the version of the program.
	Version string
	// Mask removes from a text what no trace may contain, such as card numbers.
	Mask func(string) string
	Log  *slog.Logger
}

// Enabled reports whether the standard variables of OpenTelemetry ask for traces: one of
// OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and OTEL_TRACES_EXPORTER
// is set, the exporter is not none, and OTEL_SDK_DISABLED is not true.
func Enabled() bool {
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	if exporter == "none" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	return exporter != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// New returns the Tracer of a process, which the standard variables configure, or nil if
// they do not ask for traces. It does not connect: spans that the receiver does not accept
// are dropped, which is logged. The caller closes the Tracer.
func New(ctx context.Context, cfg Config) (*Tracer, error) {
	if !Enabled() {
		return nil, nil
	}
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, err
	}
	// The library reports its own errors to these two.
	otel.SetErrorHandler(&dropped{log: cfg.Log})
	otel.SetLogger(logr.FromSlogHandler(cfg.Log.Handler()))
	described, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "payrelay"), attribute.String("service.version", cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv()) // the variables prevail
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return newTracer(cfg, sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(described))), nil
}

func newTracer(cfg Config, provider *sdk.TracerProvider) *Tracer {
	return &Tracer{provider: provider, spans: provider.Tracer("github.com/payrelay/payrelay"), mask: cfg.Mask, log: cfg.Log}
}

// newExporter returns the exporter that the variables select.
func newExporter(ctx context.Context) (sdk.SpanExporter, error) {
	if name := cmp.Or(os.Getenv("OTEL_TRACES_EXPORTER"), "otlp"); name != "otlp" {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER is %q: choose otlp or none", name)
	}
	switch protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf"); protocol {
	case "grpc":
		// gRPC would write to standard error itself. The exporter returns its errors.
		grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
		return otlptracegrpc.New(ctx)
	case "http/protobuf":
		return otlptracehttp.New(ctx)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: choose grpc or http/protobuf", protocol)
	}
}

// Close sends the spans that are left, for three seconds at most, and logs if that fails.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.log.Warn("the last traces cannot be sent and are dropped", "error", err)
	}
}

// quiet is the shortest time between two lines about dropped spans.
const quiet = time.Minute

// dropped logs the errors of sending spans.
type dropped struct {
	log    *slog.Logger
	mu     sync.Mutex
	logged time.Time
	since  int // errors without a line
}

// Handle implements [otel.ErrorHandler].
func (d *dropped) Handle(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.since++; time.Since(d.logged) < quiet {
		return
	}
	d.log.Warn("traces cannot be sent and are dropped", "errors", d.since, "error", err)
	d.logged, d.since = time.Now(), 0
}

// ID returns the ID of the trace that ctx belongs to, or "" if it is not traced.
func ID(ctx context.Context) string {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsSampled() {
		return ""
	}
	return span.TraceID().String()
}

// UpdateID returns the ID of the trace of an update's webhook, or nothing if it is not
// traced.
func UpdateID(update *payrelayv1.Update) string {
	span := remote(update.GetTraceparent())
	if !span.IsSampled() {
		return ""
	}
	return span.TraceID().String()
}

// text returns an attribute whose value is masked.
func (t *Tracer) text(key, value string) attribute.KeyValue {
	return attribute.String(key, t.mask(value))
}

// end ends a span with the error of what it measured.
func (t *Tracer) end(span trace.Span, err error) {
	t.fail(span, err)
	span.End()
}

func (t *Tracer) fail(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, t.mask(err.Error()))
	}
}
