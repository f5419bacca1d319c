package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// receiver is a receiver of traces over OTLP, in gRPC and over HTTP.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []*otlp.Span
}

// Export implements the service of gRPC.
func (r *receiver) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
	return new(collector.ExportTraceServiceResponse), nil
}

// ServeHTTP implements OTLP over HTTP.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	request := new(collector.ExportTraceServiceRequest)
	if err != nil || req.URL.Path != "/v1/traces" || proto.Unmarshal(body, request) != nil {
		http.Error(w, "not a request of OTLP", http.StatusBadRequest)
		return
	}
	answer, _ := r.Export(req.Context(), request) // never fails
	encoded, _ := proto.Marshal(answer)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(encoded)
}

// receive starts a receiver, and returns the variables that send traces to it.
func receive(t *testing.T, protocol string) (*receiver, []string) {
	t.Helper()
	r := new(receiver)
	var url string
	if protocol == "grpc" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		server := grpc.NewServer()
		collector.RegisterTraceServiceServer(server, r)
		go func() { _ = server.Serve(listener) }() // ends with Stop
		t.Cleanup(server.Stop)
		url = "http://" + listener.Addr().String()
	} else {
		server := httptest.NewServer(r)
		t.Cleanup(server.Close)
		url = server.URL
	}
	return r, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + url, "OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol, "OTEL_BSP_SCHEDULE_DELAY=50"}
}

// find returns the spans that match.
func (r *receiver) find(match func(*otlp.Span) bool) (found []*otlp.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, span := range r.spans {
		if match(span) {
			found = append(found, span)
		}
	}
	return found
}

// attribute returns the value of an attribute of a span as text, or "".
func attribute(span *otlp.Span, key string) string {
	for _, a := range span.GetAttributes() {
		if a.GetKey() == key {
			if n, ok := a.GetValue().GetValue().(*common.AnyValue_IntValue); ok {
				return fmt.Sprint(n.IntValue)
			}
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// linksTo reports whether a span has a link to another one.
func linksTo(span, to *otlp.Span) bool {
	for _, link := range span.GetLinks() {
		if bytes.Equal(link.GetTraceId(), to.GetTraceId()) && bytes.Equal(link.GetSpanId(), to.GetSpanId()) {
			return true
		}
	}
	return false
}

// trace is the spans of one trace.
type trace []*otlp.Span

// of returns the spans of the trace that a span belongs to.
func (r *receiver) of(span *otlp.Span) trace {
	return r.find(func(s *otlp.Span) bool { return bytes.Equal(s.GetTraceId(), span.GetTraceId()) })
}

// named returns the first span of a name, or nil.
func (t trace) named(name string) *otlp.Span {
	for _, span := range t {
		if span.GetName() == name {
			return span
		}
	}
	return nil
}

// connected reports whether the trace has one root, and the parents of all other spans.
func (t trace) connected() bool {
	ids, roots := make(map[string]bool), 0
	for _, span := range t {
		ids[string(span.GetSpanId())] = true
	}
	for _, span := range t {
		switch parent := string(span.GetParentSpanId()); {
		case parent == "":
			roots++
		case !ids[parent]:
			return false
		}
	}
	return roots == 1
}

func (t trace) String() string {
	var b bytes.Buffer
	for _, s := range t {
		fmt.Fprintf(&b, "\n%x <- %x %s (%d links)", s.GetParentSpanId(), s.GetSpanId(), s.GetName(), len(s.GetLinks()))
	}
	return b.String()
}
