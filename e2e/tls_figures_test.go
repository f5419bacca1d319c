package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/modules/payments"
)

const (
	tlsRounds = 7
	// leastThroughput is the part of the throughput that TLS must leave.
	leastThroughput = 0.85
)

// TestTLSCost: TLS on the ingest listener costs little throughput on connections that are
// kept. Two processes, with and without, take turns.
func TestTLSCost(t *testing.T) {
	needFigures(t)
	authority, dir := testcert.NewAuthority(t), t.TempDir()
	cert, key := authority.Issue(t, testcert.Hour(), "127.0.0.1")
	tls := []string{"--ingest-tls-cert", testcert.Write(t, dir, "cert.pem", cert), "--ingest-tls-key", testcert.Write(t, dir, "key.pem", key)}
	trust := []string{"SSL_CERT_FILE=" + testcert.Write(t, dir, "ca.pem", authority.PEM)}
	for _, mode := range []payments.Mode{payments.Direct, payments.Protobuf, payments.Kafka} {
		t.Run(string(mode), func(t *testing.T) {
			s := setup{mode, embedded, oneProcess}
			plain, secured := startCluster(t, s, options{}), startCluster(t, s, options{edge: tls})
			throughput(t, plain, nil) // warm up
			throughput(t, secured, trust)
			var ratios []float64
			for round := range tlsRounds {
				without, with := throughput(t, plain, nil), throughput(t, secured, trust)
				t.Logf("round %d: %.0f webhooks per second without TLS, %.0f with", round, without, with)
				ratios = append(ratios, with/without)
			}
			slices.Sort(ratios)
			median := ratios[tlsRounds/2]
			t.Logf("with TLS %.3f of the throughput, the median of %.3f", median, ratios)
			if median < leastThroughput {
				t.Errorf("with TLS %.3f of the throughput, want at least %.2f", median, leastThroughput)
			}
		})
	}
}

// throughput returns the webhooks per second that 64 connections send, each one after the
// answer to the last.
func throughput(t *testing.T, c *cluster, env []string) float64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench.json")
	r := runToEnd(t, env, "bench", "--target", c.url("ingest"), "--concurrency", fmt.Sprint(64),
		"--duration", "3s", "--warm-up", "500ms", "--rounds", "1", "--json", path)
	if r.Code != 0 {
		t.Fatalf("app bench: %s%s", r.Stdout, r.Stderr)
	}
	return readReport(t, path).Runs[0].Accepted
}
