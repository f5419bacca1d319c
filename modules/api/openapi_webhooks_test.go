package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/door"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/payments"
)

// webhookSources configures a source for each answer of the ingest role.
const webhookSources = `sources:
- {name: signed, provider: generic, secrets: [{secret: ` + signingKey + `}], signature: {scheme: hmac, header: X-Signature, algorithm: sha256, encoding: hex}}
- {name: far, provider: generic, secrets: [{secret: ` + signingKey + `}], signature: {scheme: hmac, header: X-Signature, algorithm: sha256, encoding: hex}, allowed_addresses: [192.0.2.7]}
- {name: slow, provider: generic, secrets: [{secret: ` + signingKey + `}], signature: {scheme: hmac, header: X-Signature, algorithm: sha256, encoding: hex}, rate_limit: 1}
`

// startWebhooks starts the listener for webhooks, with the policy of an ingest listener.
func startWebhooks(t *testing.T, next payments.ApplierFunc) string {
	t.Helper()
	var cfg ingest.Config
	cfg.RegisterFlags(flag.NewFlagSet("test", flag.PanicOnError))
	cfg.SourcesFile = filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(cfg.SourcesFile, []byte(webhookSources), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := door.Open(door.Config{Kind: door.Ingest, Addr: "127.0.0.1:0", MaxConnections: 100}, door.Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Wrap = d.Wrap
	server, err := ingest.New(cfg, d.Listener(), next, quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + server.Addr()
}

// What the ingest role answers is what openapi.json describes.
func TestAnswersToWebhooksAreDescribed(t *testing.T) {
	d := describeAPI(t)
	verdict, failure := payrelayv1.Verdict_VERDICT_APPLIED, error(nil)
	url := startWebhooks(t, func(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		outcome := &payrelayv1.Outcome{Verdict: verdict}
		if verdict == payrelayv1.Verdict_VERDICT_DEAD_LETTERED {
			outcome.Reason = conflict
		}
		outcomes := make([]*payrelayv1.Outcome, len(updates))
		for i := range outcomes {
			outcomes[i] = outcome
		}
		return outcomes, failure
	})
	const body = `{"provider_event_id":"evt-1","order_id":"o","user_id":"u","status":"created","amount":"1.00","currency":"USD","occurred_at":"2026-01-04T10:00:00Z"}`
	check := func(target, body string, status int, headers ...string) {
		t.Helper()
		mac := hmac.New(sha256.New, []byte(signingKey))
		mac.Write([]byte(body))
		headers = append([]string{"Content-Type", "application/json", "X-Signature", fmt.Sprintf("%x", mac.Sum(nil))}, headers...)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		got := send(t, http.MethodPost, url+target, []byte(body), headers...)
		if got.status != status {
			t.Errorf("POST %s = %d %s, want %d", target, got.status, got.body, status)
		}
		d.wantAnswer(t, "/webhooks/{source}/{path}", r, got)
	}
	const orders = "/webhooks/signed/orders"
	for _, verdict = range []payrelayv1.Verdict{payrelayv1.Verdict_VERDICT_APPLIED, payrelayv1.Verdict_VERDICT_STALE, payrelayv1.Verdict_VERDICT_DUPLICATE, payrelayv1.Verdict_VERDICT_DEAD_LETTERED} {
		check(orders, body, 200)
	}
	check(orders, "[1]", 200) // cannot be read: a dead letter
	verdict = payrelayv1.Verdict_VERDICT_QUEUED
	check(orders, body, 202)
	check(orders, "", 400)
	check(orders, body, 401, "X-Signature", "x")
	check("/webhooks/far/orders", body, 403)
	check(orders, body, 403, "Sec-Fetch-Site", "cross-site")
	check("/webhooks/none/orders", body, 404)
	check(orders, strings.Repeat(" ", 300<<10), 413)
	check(orders, body, 415, "Content-Type", "text/plain")
	check(orders, body, 415, "Content-Encoding", "gzip")
	many := []string{}
	for i := range 120 {
		many = append(many, fmt.Sprintf("X-Many-%d", i), "x")
	}
	check(orders, body, 431, many...)
	check("/webhooks/slow/orders", body, 202)
	check("/webhooks/slow/orders", body, 429)
	failure = errors.New("no database")
	check(orders, body, 503)
}
