package e2e

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

const (
	webhookSpan = "POST /webhooks/{source}"
	// tracedWithin is long enough for the commit in mode kafka, and the export.
	tracedWithin = 20 * time.Second
	// sentTrace is the trace of the provider.
	sentTrace       = "0af7651916cd43dd8448eb211c80319c"
	sentTraceparent = "00-" + sentTrace + "-b7ad6b7169203331-01"
)

// TestTraces: one trace leads from the request of the provider through the wire to the
// commit, in every mode and layout, and the spans of batches have links to their members.
func TestTraces(t *testing.T) {
	inEvery(t, everySetup, func(t *testing.T, s setup) {
		protocol := "http/protobuf"
		if isSplit(s) {
			protocol = "grpc"
		}
		to, env := receive(t, protocol)
		c := startCluster(t, s, options{env: env})
		c.wantTrace(t, to, orderWebhook("evt-1", "order-1", "created", 0, "100.50", "USD"), "applied")
		c.wantTrace(t, to, disputeWebhook("evt-2", "order-1", "opened", 1, ""), "applied")
		request, traceID := c.wantTrace(t, to, orderWebhook("evt-3", "order-2", "on_the_moon", 0, "1.00", "USD"), "dead_lettered")
		c.wantDeadLetterLine(t, request, traceID)
		c.wantExemplars(t, traceID)
		c.wantSharedBatch(t, to)
		for _, span := range to.find(func(*otlp.Span) bool { return true }) {
			if text := span.String(); strings.Contains(text, cardNumber) || strings.Contains(text, "user-1") {
				t.Errorf("a span has the number of a card or the id of a user: %s", text)
			}
		}
	})
}

// wantTrace sends a webhook and checks its trace. It returns the request ID of the answer
// and the ID of the trace.
func (c *cluster) wantTrace(t *testing.T, to *receiver, w webhook, verdict string) (request, traceID string) {
	t.Helper()
	answer := mustPost(t, c.url("ingest")+w.path, w.body, "Traceparent", sentTraceparent)
	request = answer.header.Get("X-Request-Id")
	var webhook *otlp.Span
	var spans trace
	wait.Until(t, tracedWithin, "the trace of "+w.event+" is complete", func() bool {
		found := to.find(func(s *otlp.Span) bool {
			return s.GetName() == webhookSpan && attribute(s, "payrelay.request_id") == request
		})
		if len(found) != 1 {
			return false
		}
		webhook, spans = found[0], to.of(found[0])
		return spans.named("relay") != nil && spans.named("apply") != nil && spans.named("commit") != nil && spans.named("ledger") != nil && spans.connected()
	})
	traceID = hex.EncodeToString(webhook.GetTraceId())
	if len(webhook.GetParentSpanId()) != 0 || traceID == sentTrace || len(webhook.GetLinks()) != 1 || hex.EncodeToString(webhook.GetLinks()[0].GetTraceId()) != sentTrace {
		t.Errorf("the span of %s follows the trace of the provider, want a link: %v", w.event, webhook)
	}
	apply, commit, relay, batch := spans.named("apply"), spans.named("commit"), spans.named("relay"), spans.named("ledger")
	if !isChild(apply, webhook) || !isChild(relay, webhook) || !isChild(commit, apply) || !linksTo(apply, batch) || !linksTo(batch, webhook) {
		t.Errorf("the spans of %s are not children of the webhook's, or not linked:%s", w.event, spans)
	}
	for key, want := range map[string]string{"payrelay.event_id": w.event, "payrelay.request_id": request, "payrelay.verdict": verdict} {
		if got := attribute(apply, key); got != want {
			t.Errorf("%s of the span apply of %s = %q, want %q", key, w.event, got, want)
		}
	}
	system := "sqlite"
	if c.lane == production {
		system = "postgresql"
	}
	for _, name := range []string{"load " + system, "commit " + system} {
		if span := spans.named(name); span == nil || !isChild(span, batch) {
			t.Errorf("the batch of %s has no span %q:%s", w.event, name, spans)
		}
	}
	if c.mode.RPC() {
		calls := to.find(func(s *otlp.Span) bool {
			return s.GetName() == "payrelay.v1.RelayService/ApplyUpdates" && string(s.GetTraceId()) == string(webhook.GetTraceId())
		})
		if call := spans.named("call"); call == nil || !linksTo(call, webhook) || len(calls) != 2 {
			t.Errorf("the trace of %s has %d spans of the client and the server of the call, want 2:%s", w.event, len(calls), spans)
		}
	}
	if kind := relay.GetKind(); c.mode == payments.Kafka != (kind == otlp.Span_SPAN_KIND_PRODUCER) {
		t.Errorf("the kind of the span relay = %v", kind)
	}
	return request, traceID
}

func isChild(span, of *otlp.Span) bool {
	return string(span.GetParentSpanId()) == string(of.GetSpanId()) && string(span.GetTraceId()) == string(of.GetTraceId())
}

// wantDeadLetterLine checks that the process that applies updates has logged the dead
// letter with the request ID that the provider was given, and with the trace.
func (c *cluster) wantDeadLetterLine(t *testing.T, request, traceID string) {
	t.Helper()
	found := 0
	for member, p := range c.running {
		for line := range strings.Lines(p.log(t)) {
			var entry struct {
				Level, Msg, Reason, Source, Kind string
				EventID                          string `json:"event_id"`
				OrderID                          string `json:"order_id"`
				RequestID                        string `json:"request_id"`
				TraceID                          string `json:"trace_id"`
				Body                             string `json:"body_sha256"`
			}
			if json.Unmarshal([]byte(line), &entry) != nil || entry.Msg != "dead letter opened" {
				continue
			}
			found++
			if role, _ := roleOf(member); role == "ingest" || entry.Level != "WARN" || entry.Reason != "unknown_status" || entry.EventID != "evt-3" || entry.OrderID != "order-2" ||
				entry.Kind != "order" || entry.RequestID != request || entry.TraceID != traceID || len(entry.Body) != 64 {
				t.Errorf("%s logged %s, want the request %s and the trace %s", member, line, request, traceID)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d lines about dead letters, want 1", found)
	}
}

// wantExemplars checks that the metrics of each role refer to a trace: that of the latest
// webhook, or another one that is as slow.
func (c *cluster) wantExemplars(t *testing.T, traceID string) {
	t.Helper()
	var all strings.Builder
	for _, p := range c.running {
		answer, err := do(http.MethodGet, p.URL("admin")+"/metrics", "", "Accept", "application/openmetrics-text")
		check(t, err)
		all.Write(answer.body)
	}
	for _, metric := range []string{"payrelay_webhook_duration_seconds", "payrelay_apply_duration_seconds", "payrelay_store_duration_seconds"} {
		if !regexp.MustCompile(metric + `_bucket{.*} \d+ # {trace_id="[0-9a-f]{32}"}`).MatchString(all.String()) {
			t.Errorf("%s has no exemplar", metric)
		}
	}
	if !strings.Contains(all.String(), traceID) {
		t.Errorf("no metric refers to the trace %s", traceID)
	}
}

// wantSharedBatch sends webhooks at once until some of them share a batch, which then has a
// link to each.
func (c *cluster) wantSharedBatch(t *testing.T, to *receiver) {
	t.Helper()
	sent := 0
	wait.Until(t, tracedWithin, "webhooks share a batch", func() bool {
		var sending sync.WaitGroup
		for range 16 {
			sent++
			w := orderWebhook(fmt.Sprint("shared-", sent), "order-3", "updated", sent, "1.00", "USD")
			sending.Go(func() { _, _ = c.send(w) }) // a lost one is not in the batch
		}
		sending.Wait()
		return len(to.find(func(s *otlp.Span) bool { return s.GetName() == "ledger" && len(s.GetLinks()) > 1 })) > 0
	})
	batch := to.find(func(s *otlp.Span) bool { return s.GetName() == "ledger" && len(s.GetLinks()) > 1 })[0]
	members := make(map[string]bool)
	for _, link := range batch.GetLinks() {
		members[string(link.GetTraceId())] = true
	}
	if len(members) != len(batch.GetLinks()) || !members[string(batch.GetTraceId())] || attribute(batch, "payrelay.updates") != fmt.Sprint(len(members)) {
		t.Errorf("the batch has links to %d traces, and its own is among them = %t: %v", len(members), members[string(batch.GetTraceId())], batch)
	}
	wait.Until(t, tracedWithin, "each member of the batch has a span that is linked to it", func() bool {
		applied := to.find(func(s *otlp.Span) bool {
			return s.GetName() == "apply" && linksTo(s, batch) && members[string(s.GetTraceId())]
		})
		return len(applied) == len(members)
	})
}

// TestTracesWithoutAReceiver: a receiver that is down delays no webhook, and no stop.
func TestTracesWithoutAReceiver(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		c := startCluster(t, setup{payments.Direct, embedded, oneProcess}, options{env: []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + servers.FreeAddr(), "OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol}})
		c.accept(t, orderWebhook("evt-1", "order-1", "created", 0, "1.00", "USD"), "applied")
		c.terminate(t, "all")
		if log := c.running["all"].log(t); !strings.Contains(log, "traces cannot be sent and are dropped") {
			t.Errorf("%s: the log has no line about the traces:\n%s", protocol, log)
		}
	}
}

// TestTracesNotSampled: the provider does not decide what is traced.
func TestTracesNotSampled(t *testing.T) {
	t.Parallel()
	to, env := receive(t, "http/protobuf")
	c := startCluster(t, setup{payments.Direct, embedded, oneProcess}, options{env: append(env, "OTEL_TRACES_SAMPLER=always_off")})
	w := orderWebhook("evt-1", "order-1", "created", 0, "1.00", "USD")
	mustPost(t, c.url("ingest")+w.path, w.body, "Traceparent", sentTraceparent)
	c.terminate(t, "all")
	if spans := to.find(func(*otlp.Span) bool { return true }); len(spans) != 0 {
		t.Errorf("%d spans of a webhook that is not sampled, want none:%s", len(spans), trace(spans))
	}
}
