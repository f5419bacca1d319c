package admin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/payments"
)

func TestWebhooksAreCountedBySourceResultAndStatus(t *testing.T) {
	s := serve(t)
	w := s.Webhooks()
	at := time.Unix(1_800_000_000, 500_000_000)
	for _, webhook := range []admin.Webhook{
		{Source: "shop", Result: "applied", Status: 200, Verified: true, At: at, Latency: 2 * time.Millisecond},
		{Source: "shop", Result: "applied", Status: 200, Verified: true, Secret: 1, At: at.Add(time.Second), Latency: 20 * time.Millisecond},
		{Source: "shop", Result: "signature_invalid", Status: 401, At: at.Add(time.Hour)},
		{Source: "other", Result: "queued", Status: 202, At: at}, // not verified
		{Source: "other", Result: "unavailable", Status: 503, At: at.Add(time.Hour)},
	} {
		w.Answered(t.Context(), webhook)
	}
	if series := `payrelay_webhooks_verified_total{secret="1",source="other"}`; scrape(t, s)[series] != "" {
		t.Errorf("%s is there, want it for verified sources only", series)
	}
	w.ShowSources(func() []string { return []string{"other", "shop"} })
	expectSamples(t, s, map[string]string{
		`payrelay_webhooks_total{result="applied",source="shop",status="200"}`:           "2",
		`payrelay_webhooks_total{result="signature_invalid",source="shop",status="401"}`: "1",
		`payrelay_webhooks_total{result="queued",source="other",status="202"}`:           "1",
		`payrelay_webhooks_total{result="unavailable",source="other",status="503"}`:      "1",
		`payrelay_webhooks_verified_total{secret="1",source="shop"}`:                     "1",
		`payrelay_webhooks_verified_total{secret="2",source="shop"}`:                     "1",
		`payrelay_webhook_duration_seconds_count{source="shop"}`:                         "3",
		`payrelay_webhook_duration_seconds_bucket{source="shop",le="0.0025"}`:            "2",
		`payrelay_source_last_webhook_timestamp_seconds{source="shop"}`:                  "1.8000000015e+09", // a refused one is not one of the source
		`payrelay_source_last_webhook_timestamp_seconds{source="other"}`:                 "1.8000000005e+09",
	})
}

// TestSourcesShowBeforeTheirFirstWebhook checks that each verdict is there as 0, so that
// an alert about a rate knows the first webhook, and that the sources may change.
func TestSourcesShowBeforeTheirFirstWebhook(t *testing.T) {
	s := serve(t)
	names := []string{"shop"}
	begin := float64(time.Now().UnixMilli()) / 1000
	s.Webhooks().ShowSources(func() []string { return names })
	for _, names = range [][]string{{"shop"}, {"shop", "late"}} {
		scrape(t, s)        // the first scrape after a reload may miss the new source
		got := scrape(t, s) // and the second one does not
		for _, source := range names {
			for _, verdict := range payments.Verdicts.All() {
				status := "200"
				if verdict == "queued" {
					status = "202"
				}
				series := fmt.Sprintf("payrelay_webhooks_total{result=%q,source=%q,status=%q}", verdict, source, status)
				if got[series] != "0" {
					t.Errorf("%s = %q, want 0", series, got[series])
				}
			}
			var last float64
			if _, err := fmt.Sscan(got[fmt.Sprintf("payrelay_source_last_webhook_timestamp_seconds{source=%q}", source)], &last); err != nil || last < begin || last > begin+60 {
				t.Errorf("the last webhook of %s is at %v, %v, want the start %v", source, last, err, begin)
			}
		}
	}
}

// TestCountsOfASource checks what the counts take from the metrics: a code that came with
// two statuses is one, and an accepted webhook is none.
func TestCountsOfASource(t *testing.T) {
	w := serve(t).Webhooks()
	at := time.UnixMilli(1_800_000_000_500)
	for _, webhook := range []admin.Webhook{
		{Source: "shop", Result: "applied", Status: 200, Verified: true, At: at},
		{Source: "shop", Result: "queued", Status: 202, Verified: true, At: at},
		{Source: "shop", Result: "unavailable", Status: 503, Verified: true, At: at},
		{Source: "shop", Result: "signature_invalid", Status: 401, At: at},
		{Source: "shop", Result: "signature_invalid", Status: 400, At: at.Add(time.Second)},
		{Source: "other", Result: "applied", Status: 200, At: at},
	} {
		w.Answered(t.Context(), webhook)
	}
	for source, want := range map[string]admin.SourceCounts{
		"shop":  {Verified: 3, Refused: map[string]int64{"unavailable": 1, "signature_invalid": 2}, LastSeen: at.Add(time.Second)},
		"other": {Refused: map[string]int64{}, LastSeen: at},
		"quiet": {Refused: map[string]int64{}},
	} {
		if got := w.Counts(source); !reflect.DeepEqual(got, want) {
			t.Errorf("Counts(%q) = %+v, want %+v", source, got, want)
		}
	}
}

func TestWebhooksConcurrently(t *testing.T) {
	s := serve(t)
	w := s.Webhooks()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range 100 {
				w.Answered(context.Background(), admin.Webhook{Source: "shop", Result: fmt.Sprint("code_", n%10), Status: 400 + i%2})
			}
		})
	}
	wg.Wait()
	expectSamples(t, s, map[string]string{
		`payrelay_webhooks_total{result="code_3",source="shop",status="400"}`: "80",
		`payrelay_webhooks_total{result="code_3",source="shop",status="401"}`: "80",
		`payrelay_webhook_duration_seconds_count{source="shop"}`:              "1600",
	})
}

func TestAnsweredAllocatesNothing(t *testing.T) {
	w := serve(t).Webhooks()
	webhook := admin.Webhook{Source: "shop", Result: "applied", Status: 200, At: time.Now(), Latency: time.Millisecond}
	w.Answered(t.Context(), webhook)
	if n := testing.AllocsPerRun(100, func() { w.Answered(t.Context(), webhook) }); n != 0 {
		t.Errorf("Answered made %v allocations, want 0", n)
	}
}

type traceKey struct{}

const trace = "4bf92f3577b34da6a3ce929d0e0e4736"

// exemplified returns which of the metrics that have exemplars have one with the trace.
func exemplified(t *testing.T, s *admin.Server) (names []string) {
	t.Helper()
	for line := range strings.Lines(openMetrics(t, s)) {
		name, _, bucket := strings.Cut(line, "_bucket{")
		if bucket && strings.Contains(line, `# {trace_id="`+trace+`"}`) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// TestExemplars checks that the metrics refer to the trace of a context or of an update
// that has one, and that only OpenMetrics, which a client asks for, shows it.
func TestExemplars(t *testing.T) {
	for name, c := range map[string]struct {
		context, update string
		want            []string
	}{
		"no trace":           {"", "", nil},
		"a traced request":   {trace, "", []string{"payrelay_apply_duration_seconds", "payrelay_store_duration_seconds", "payrelay_update_age_seconds", "payrelay_webhook_duration_seconds"}},
		"an update in batch": {"", trace, []string{"payrelay_apply_duration_seconds", "payrelay_update_age_seconds"}},
	} {
		s := open(t, admin.Config{
			TraceID:       func(ctx context.Context) string { id, _ := ctx.Value(traceKey{}).(string); return id },
			UpdateTraceID: func(u *payrelayv1.Update) string { return u.GetTraceparent() },
		})
		start(t, s)
		ctx := context.WithValue(t.Context(), traceKey{}, c.context)
		s.Webhooks().Answered(ctx, admin.Webhook{Source: "shop", Result: "applied", Status: 200})
		updates := append(receivedNow(), receivedNow()...)
		updates[1].Traceparent = c.update
		if _, err := s.Instrument("ledger", s.Age(answer())).Apply(ctx, updates); err != nil {
			t.Fatal(err)
		}
		if _, err := s.MeasureStore(scriptedStore{}).Load(ctx, payments.Lookup{}); err != nil {
			t.Fatal(err)
		}
		got := exemplified(t, s)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v have an exemplar, want %v", name, got, c.want)
		}
		if _, plain := get(t, s, "/metrics"); strings.Contains(plain, "trace_id") {
			t.Errorf("%s: the text format has exemplars, which it does not know", name)
		}
	}
}

// openMetrics scrapes in the format OpenMetrics.
func openMetrics(t *testing.T, s *admin.Server) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || !strings.HasSuffix(string(text), "# EOF\n") {
		t.Fatalf("/metrics = %.100s, %v, want OpenMetrics", text, err)
	}
	return string(text)
}

// BenchmarkWebhooks measures what one webhook costs in metrics, alone and from all
// processors at once.
func BenchmarkWebhooks(b *testing.B) {
	s := open(b, admin.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	defer s.Run(ctx)
	w := s.Webhooks()
	webhook := admin.Webhook{Source: "shop", Result: "applied", Status: 200, At: time.Now(), Latency: time.Millisecond}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.Answered(ctx, webhook)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				w.Answered(ctx, webhook)
			}
		})
	})
}
