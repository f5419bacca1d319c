package alerts

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/internal/testcert"
)

func nothing() {}

// TestProcessDies: a process that is killed, while another one runs.
func TestProcessDies(t *testing.T) {
	s := openShop(t, time.Time{})
	a, b := launch(t, all(t, "direct", "--sources", s.file)), launch(t, all(t, "direct", "--sources", s.file))
	r := record(t, map[string]*process{"a": a, "b": b})
	r.during(5*time.Minute, func() { s.mustPay(t, a, 1) })
	r.want("before the fault")
	check(t, b.Kill())
	r.during(4*time.Minute, func() { s.mustPay(t, a, 1) })
	r.want("after the kill", "PayrelayDown (page)")
}

// TestAPIRoleIsAway: the ingest role runs on without the api role.
func TestAPIRoleIsAway(t *testing.T) {
	s := openShop(t, time.Time{})
	api := launch(t, program.Serve{Role: "api", Mode: "grpc", DataDir: filepath.Join(t.TempDir(), "data"), Admin: free, API: free, Internal: free})
	ingest := launch(t, program.Serve{Role: "ingest", Mode: "grpc", Admin: free, Ingest: free, APIURL: api.URL("internal"),
		More: []string{"--sources", s.file, "--api-timeout", "500ms"}})
	r := record(t, map[string]*process{"api": api, "ingest": ingest})
	r.during(5*time.Minute, func() { s.mustPay(t, ingest, 3) })
	r.want("before the fault")
	check(t, api.Kill())
	await(t, "the circuit breaker to open", func() bool {
		s.pay(ingest, rightSecret)
		r.scrape()
		return r.value("payrelay_circuit_open") == 1
	})
	awaitUnready(t, ingest, "api")
	r.during(12*time.Minute, func() { s.pay(ingest, rightSecret) })
	r.want("without the api role", "PayrelayCircuitOpen (page)", "PayrelayDown (page)", "PayrelayNotReady (page)", "PayrelayWebhooksRefused (page)")
}

// TestForgedWebhooks: first all webhooks are forged, then authentic ones come too.
func TestForgedWebhooks(t *testing.T) {
	s := openShop(t, time.Time{})
	p := launch(t, all(t, "direct", "--sources", s.file))
	r := record(t, map[string]*process{"a": p})
	r.during(2*time.Minute, nothing)
	r.during(15*time.Minute, func() {
		if status := s.pay(p, wrongSecret); status != 401 && status != 429 {
			t.Fatalf("a forged webhook is answered %d, want 401 or 429", status)
		}
	})
	r.want("with forged webhooks only", "PayrelayForgedWebhooks (ticket)", "PayrelaySecretWrong (page)")
	r.during(15*time.Minute, func() {
		s.pay(p, wrongSecret)
		s.mustPay(t, p, 1)
	})
	r.want("with authentic webhooks too", "PayrelayForgedWebhooks (ticket)")
	r.during(50*time.Minute, func() { s.mustPay(t, p, 1) })
	r.want("after the attack")
}

// TestSourceFallsSilent: a source sends for an hour, and a week later for none.
func TestSourceFallsSilent(t *testing.T) {
	s := openShop(t, time.Time{})
	p := launch(t, all(t, "direct", "--sources", s.file))
	r := record(t, map[string]*process{"a": p})
	r.during(75*time.Minute, func() { s.mustPay(t, p, 1) })
	r.hold(6*24*time.Hour, 5*time.Minute)
	r.want("without a week to compare with")
	r.hold(24*time.Hour, 5*time.Minute)
	r.want("at the hour of the week before", "PayrelaySourceSilent (page)")
	s.mustPay(t, p, 1)
	r.scrape()
	r.want("when the source sends again")
}

// TestExpiry: certificates and a secret that expire soon, and a secret that has expired.
func TestExpiry(t *testing.T) {
	s := openShop(t, time.Now().Add(3*24*time.Hour))
	authority := testcert.NewAuthority(t)
	// certificate returns the flags of a listener with a certificate that is valid for a time.
	certificate := func(listener string, valid time.Duration) []string {
		cert, key := authority.Issue(t, time.Now().Add(valid), "127.0.0.1", "localhost")
		return []string{"--" + listener + "-tls-cert", writeFile(t, filepath.Join(t.TempDir(), "cert.pem"), string(cert)),
			"--" + listener + "-tls-key", writeFile(t, filepath.Join(t.TempDir(), "key.pem"), string(key))}
	}
	p := launch(t, all(t, "direct", append(append(certificate("api", 10*24*time.Hour), certificate("internal", 24*time.Hour)...), "--sources", s.file)...))
	good := launch(t, all(t, "direct", append(certificate("api", 60*24*time.Hour), "--sources", openShop(t, time.Time{}).file)...))
	r := record(t, map[string]*process{"a": p, "b": good})
	r.during(3*time.Minute, func() { s.mustPay(t, p, 1); s.mustPay(t, good, 1) })
	r.want("at first")
	r.hold(70*time.Minute, time.Minute)
	r.want("later", "PayrelayCertificateExpires (page)", "PayrelayCertificateExpires (ticket)", "PayrelaySecretExpires (ticket)")
	check(t, p.Kill())

	s.limit(t, time.Now().Add(-time.Minute))
	p = launch(t, all(t, "direct", "--sources", s.file))
	r = record(t, map[string]*process{"a": p})
	r.during(2*time.Minute, func() {
		if status := s.pay(p, rightSecret); status != 401 {
			t.Fatalf("a webhook with an expired secret is answered %d, want 401", status)
		}
	})
	r.want("with an expired secret", "PayrelaySecretExpires (page)")
}

// TestUnsigned: a process without a file of sources.
func TestUnsigned(t *testing.T) {
	p := launch(t, all(t, "direct"))
	r := record(t, map[string]*process{"a": p})
	r.during(time.Minute, nothing)
	r.hold(20*time.Minute, time.Minute)
	r.want("without sources", "PayrelayUnsigned (ticket)")
}
