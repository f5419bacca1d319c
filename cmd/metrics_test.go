package cmd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

// patience is far longer than anything here takes.
const patience = 20 * time.Second

// served is a serve command that runs in this process.
type served struct {
	t      *testing.T
	client *http.Client
	urls   map[string]string
	stop   func()
}

var listed = regexp.MustCompile(`^\s+(\w+)\s+(https?://\S+)`)

// serveAll runs serve all on a directory until stop is called or the test ends.
func serveAll(t *testing.T, client *http.Client, dir string, args ...string) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	printed, out := io.Pipe()
	command := newRoot()
	command.SetArgs(slices.Concat([]string{"serve", "all", "--log-level", "error", "--data-dir", dir,
		"--ingest-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--internal-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}, args))
	command.SetOut(out)
	ended := make(chan error, 1)
	go func() {
		err := command.ExecuteContext(ctx)
		_ = out.CloseWithError(io.EOF) // ends the reader
		ended <- err
	}()
	s := &served{t: t, client: client, urls: make(map[string]string)}
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	lines := bufio.NewScanner(printed)
	for lines.Scan() {
		if found := listed.FindStringSubmatch(lines.Text()); found != nil {
			s.urls[found[1]] = found[2]
		}
		if len(s.urls) == 4 && lines.Text() == "" {
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, printed) }()
	if len(s.urls) != 4 {
		t.Fatalf("serve all printed the listeners %v, want 4", s.urls)
	}
	return s
}

// send sends a webhook about an order and returns the status of the answer.
func (s *served) send(event, order, status string, at time.Time) int {
	s.t.Helper()
	body := fmt.Sprintf(`{"provider_event_id": %q, "order_id": %q, "user_id": "user-1", "status": %q,
		"created_at": %q, "updated_at": %q, "meta": {"amount": "100.50", "currency": "USD"}}`, event, order, status, at.Format(time.RFC3339), at.Format(time.RFC3339))
	return s.post("/webhooks/payments/orders", body)
}

func (s *served) post(path, body string) int {
	s.t.Helper()
	answer, err := s.client.Post(s.urls["ingest"]+path, "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// metrics scrapes the process.
func (s *served) metrics() map[string]*dto.MetricFamily {
	s.t.Helper()
	answer, err := s.client.Get(s.urls["admin"] + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return families
}

// value returns the value of a counter or gauge with these labels, and 0 without it.
func (s *served) value(name string, labels map[string]string) float64 {
	s.t.Helper()
	for _, m := range s.metrics()[name].GetMetric() {
		if maps.Equal(labelsOf(m), labels) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return 0
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := make(map[string]string)
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// documentedRow is a row of docs/metrics.md.
type documentedRow struct {
	kind   string
	labels []string
	where  string
}

// documentedMetrics returns the rows of docs/metrics.md.
func documentedMetrics(t *testing.T) map[string]documentedRow {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]documentedRow)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		name := strings.Trim(cells[1], " `")
		if _, twice := rows[name]; twice {
			t.Errorf("docs/metrics.md has %s twice", name)
		}
		labels := strings.FieldsFunc(cells[3], func(r rune) bool { return strings.ContainsRune(" `,", r) })
		slices.Sort(labels)
		rows[name] = documentedRow{strings.TrimSpace(cells[2]), labels, strings.TrimSpace(cells[4])}
	}
	if len(rows) < 30 {
		t.Fatalf("docs/metrics.md has %d rows, want more", len(rows))
	}
	return rows
}

// exposed reports whether serve all in a mode exposes the metrics of a row, in the set-up
// of TestMetricsAreDocumented.
func exposed(where string, mode payments.Mode) bool {
	switch where {
	case "a listener that other machines can reach": // a test does not listen there
		return false
	case "ingest, not in mode `direct`":
		return mode != payments.Direct
	case "api in mode `kafka`":
		return mode == payments.Kafka
	default:
		return true
	}
}

// TestMetricsAreDocumented compares docs/metrics.md with what serve all exposes in each
// mode, once it had a webhook of each kind: names, types and labels.
func TestMetricsAreDocumented(t *testing.T) {
	documented := documentedMetrics(t)
	authority := testcert.NewAuthority(t)
	cert, key := authority.Issue(t, time.Now().Add(time.Hour), "127.0.0.1")
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sources := file("sources.yaml", []byte("sources:\n  - name: shop\n    provider: generic\n    signature: {scheme: hmac, header: X-Sign, algorithm: sha256, encoding: hex}\n    secrets: [{secret: "+shopSecret+", not_after: 2090-12-01T00:00:00Z}]\n"))
	args := []string{"--sources", sources, "--insecure-no-signature", "--ingest-tls-cert", file("cert.pem", cert), "--ingest-tls-key", file("key.pem", key)}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool()}}}
	defer client.CloseIdleConnections()
	for _, mode := range payments.Modes {
		t.Run(string(mode), func(t *testing.T) {
			at, dir := time.Now().Add(-time.Hour), t.TempDir()
			s := serveAll(t, client, dir, append(args, "--mode", string(mode))...)
			if status := s.send("evt-1", "order-1", "created", at); status/100 != 2 {
				t.Fatalf("the webhook was answered %d, want 2xx", status)
			}
			if status := s.send("evt-1", "order-1", "failed", at); status/100 != 2 { // a conflict
				t.Fatalf("the conflict was answered %d, want 2xx", status)
			}
			if status := s.post("/webhooks/shop/orders", "{}"); status != http.StatusUnauthorized {
				t.Fatalf("the forged webhook was answered %d, want 401", status)
			}
			reason := map[string]string{"reason": "conflict"}
			wait.Until(t, patience, "the dead letter", func() bool { return s.value("payrelay_dead_letters_total", reason) == 1 })
			s.stop() // the next process reads what is in the database at its start
			s = serveAll(t, client, dir, append(args, "--mode", string(mode))...)
			if status := s.send("evt-2", "order-1", "updated", at); status/100 != 2 {
				t.Fatalf("the webhook was answered %d, want 2xx", status)
			}
			if status := sendToShop(t, client, s.urls["ingest"], "evt-3", shopSecret, "application/json"); status/100 != 2 {
				t.Fatalf("the signed webhook was answered %d, want 2xx", status)
			}
			open := func() bool { return s.value("payrelay_dead_letters_open", reason) == 1 }
			wait.Until(t, patience, "the gauge of the dead letter", open)
			if mode == payments.Kafka { // which has a lag once the consumer has its partitions
				wait.Until(t, patience, "the lag of a partition", func() bool { return s.metrics()["payrelay_consumer_partition_lag_records"] != nil })
			}
			compareMetrics(t, s.metrics(), documented, mode)
		})
	}
}

func compareMetrics(t *testing.T, got map[string]*dto.MetricFamily, documented map[string]documentedRow, mode payments.Mode) {
	t.Helper()
	for name, row := range documented {
		if family := got[name]; family == nil && exposed(row.where, mode) {
			t.Errorf("docs/metrics.md has %s, which is not exposed", name)
		}
	}
	for name, family := range got {
		if !strings.HasPrefix(name, "payrelay_") {
			continue
		}
		row, ok := documented[name]
		if !ok {
			t.Errorf("%s is exposed, and not in docs/metrics.md", name)
			continue
		}
		if kind := strings.ToLower(family.GetType().String()); kind != row.kind {
			t.Errorf("%s is a %s, and in docs/metrics.md a %s", name, kind, row.kind)
		}
		for _, m := range family.GetMetric() {
			if labels := slices.Sorted(maps.Keys(labelsOf(m))); !slices.Equal(labels, row.labels) {
				t.Errorf("%s has the labels %v, and in docs/metrics.md %v", name, labels, row.labels)
				break
			}
		}
	}
}

// TestAContradictionFoundLaterIsCounted sends an order that was created at 10:00, failed at
// 12:00 and, as arrives last, succeeded at 11:00. The success turns the failure, which was
// applied, into a dead letter.
func TestAContradictionFoundLaterIsCounted(t *testing.T) {
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	s := serveAll(t, client, t.TempDir(), "--mode", "direct")
	day := time.Date(2026, 1, 4, 0, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		status string
		hour   int
	}{{"created", 10}, {"failed", 12}, {"success", 11}} {
		if status := s.send(fmt.Sprintf("evt-%d", i), "order-1", step.status, day.Add(time.Duration(step.hour)*time.Hour)); status != http.StatusOK {
			t.Fatalf("%s was answered %d, want 200", step.status, status)
		}
	}
	for _, c := range []struct {
		name   string
		labels map[string]string
		want   float64
	}{
		{"payrelay_webhooks_total", map[string]string{"source": "generic", "result": "applied", "status": "200"}, 3},
		{"payrelay_webhooks_total", map[string]string{"source": "generic", "result": "dead_lettered", "status": "200"}, 0},
		{"payrelay_events_total", map[string]string{"kind": "order", "verdict": "applied"}, 3},
		{"payrelay_events_total", map[string]string{"kind": "order", "verdict": "dead_lettered"}, 0},
		{"payrelay_events_revised_total", map[string]string{"kind": "order", "verdict": "dead_lettered"}, 1},
		{"payrelay_dead_letters_total", map[string]string{"reason": "contradiction"}, 1},
	} {
		if got := s.value(c.name, c.labels); got != c.want {
			t.Errorf("%s%v = %v, want %v", c.name, c.labels, got, c.want)
		}
	}
}
