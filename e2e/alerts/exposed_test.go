package alerts

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/internal/testcert"
)

// exposed returns the metrics of running processes with their labels. Together they use
// every mode of transport that has metrics of its own, TLS, a source that is not verified,
// and a secret that expires.
func exposed(t *testing.T) known {
	t.Helper()
	dir := t.TempDir()
	authority := testcert.NewAuthority(t)
	cert, key := authority.Issue(t, time.Now().Add(time.Hour), "127.0.0.1", "localhost")
	certFile, keyFile := writeFile(t, filepath.Join(dir, "cert.pem"), string(cert)), writeFile(t, filepath.Join(dir, "key.pem"), string(key))
	sources := writeFile(t, filepath.Join(dir, "sources.yaml"), fmt.Sprintf(`sources:
  - name: open
    provider: generic
  - name: shop
    provider: generic
    signature: {scheme: hmac, header: X-Signature, algorithm: sha256, encoding: hex}
    secrets: [{secret: %s, not_after: %s}]
`, rightSecret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	kafka := launch(t, all(t, "kafka", "--sources", sources, "--insecure-no-signature", "--api-tls-cert", certFile, "--api-tls-key", keyFile))
	serve := program.Serve{Role: "api", Mode: "grpc", DataDir: filepath.Join(dir, "data"), Admin: free, API: free, Internal: free}
	api := launch(t, serve)
	ingest := launch(t, program.Serve{Role: "ingest", Mode: "grpc", Admin: free, Ingest: free, APIURL: api.URL("internal")})
	for _, p := range []*process{kafka, ingest} {
		path := "/webhooks/payments/orders"
		if p == kafka {
			path = "/webhooks/open/orders"
		}
		if status, body := post(p.URL("ingest")+path, order("event-1", "order-1", "success", time.Now(), "")); status/100 != 2 {
			t.Fatalf("a webhook is answered %d %s, want 2xx", status, body)
		}
	}
	new(shop).mustPay(t, kafka, 1) // only a verified webhook is counted by its secret
	// The age of the oldest dead letter is there while one is open. A process reads it when
	// it starts.
	if status, body := post(ingest.URL("ingest")+"/webhooks/payments/orders", order("event-1", "order-2", "success", time.Now(), "")); !strings.Contains(body, "conflict") {
		t.Fatalf("another webhook with the same id is answered %d %s, want a dead letter", status, body)
	}
	check(t, api.Terminate(startWithin))
	api = launch(t, serve)
	await(t, "the oldest dead letter", func() bool { return peek(api, "payrelay_dead_letters_oldest_timestamp_seconds") > 0 })
	metrics := known{
		// It is only there on an address that other machines can reach.
		"payrelay_insecure": {"listener", "what", "job", "instance"},
	}
	for _, p := range []*process{kafka, api, ingest} {
		families, err := metricsOf(p)
		check(t, err)
		for _, family := range families {
			flatten(family, func(name string, _ float64, pairs ...string) {
				for i := 0; i < len(pairs); i += 2 {
					if !slices.Contains(metrics[name], pairs[i]) {
						metrics[name] = append(metrics[name], pairs[i])
					}
				}
				metrics[name] = union(metrics[name], added)
			})
		}
	}
	return metrics
}
