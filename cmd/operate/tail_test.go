package operate

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tailed is a stream of webhooks: one that was applied, two of Adyen in one, a dead
// letter, a forged one, an empty line, and the number of those that are missing.
const tailed = `{"time":"2026-01-04T10:00:00.5Z","source":"stripe-eu","event":"charge.dispute.created","event_id":"evt_1","order_id":"pi_1","updates":1,"verdict":"applied","status":200,"latency_ns":1234567}
{"time":"2026-01-04T10:00:01Z","source":"adyen-eu","event":"CAPTURE","event_id":"CAPTURE:P1:true","order_id":"o-2","updates":2,"verdict":"queued","status":202,"latency_ns":1000000}

{"time":"2026-01-04T10:00:02Z","source":"shop","event_id":"e\u001b[31m3","order_id":"o-3","updates":1,"verdict":"dead_lettered","reason":"conflict","status":200,"latency_ns":1}
{"missed":7}
{"time":"2026-01-04T10:00:03Z","source":"stripe-eu","status":401,"refusal":"signature_invalid","latency_ns":1}
`

func TestTail(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  tailConfig
		want []string // parts of the lines, in their order
		not  []string
	}{
		"all": {tailConfig{}, []string{
			"TIME", "stripe-eu", "charge.dispute.created", "pi_1", "applied", "200", "1.23ms",
			"adyen-eu", "CAPTURE +1", "queued", "202", "e?[31m3", "dead_lettered:conflict", "… 7 webhooks are not shown", "signature_invalid", "401"}, []string{"\x1b"}},
		"a source":         {tailConfig{sources: "shop,other"}, []string{"shop"}, []string{"stripe-eu", "adyen-eu"}},
		"a kind of event":  {tailConfig{events: "charge."}, []string{"charge.dispute.created"}, []string{"CAPTURE", "signature_invalid"}},
		"a verdict":        {tailConfig{results: "queued"}, []string{"CAPTURE"}, []string{"charge", "conflict", "signature"}},
		"a refusal":        {tailConfig{results: "applied,signature_invalid"}, []string{"charge.dispute", "signature_invalid"}, []string{"CAPTURE"}},
		"every refusal":    {tailConfig{results: "refused"}, []string{"signature_invalid"}, []string{"CAPTURE", "charge.dispute"}},
		"an order":         {tailConfig{order: "o-3"}, []string{"o-3"}, []string{"pi_1", "o-2"}},
		"a source as JSON": {tailConfig{sources: "adyen-eu", output: "json"}, []string{`{"time":"2026-01-04T10:00:01Z","source":"adyen-eu"`, `{"missed":7}`}, []string{"TIME", "stripe-eu"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if c.cfg.output == "" {
				c.cfg.output = "text"
			}
			if err := c.cfg.print(t.Context(), strings.NewReader(tailed), &out); err == nil || !strings.Contains(err.Error(), "ended the stream") {
				t.Errorf("print() = %v, want that the stream ended", err)
			}
			rest := out.String()
			for _, part := range c.want {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Fatalf("the output has no %q after the others:\n%s", part, out.String())
				}
				rest = after
			}
			for _, part := range c.not {
				if strings.Contains(out.String(), part) {
					t.Errorf("the output contains %q:\n%s", part, out.String())
				}
			}
		})
	}
}

// TestFollow connects to servers that answer in different ways.
func TestFollow(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got *http.Request
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, tailed) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		answer(w, r)
	}))
	defer server.Close()
	cfg := tailConfig{adminTarget: adminTarget{url: server.URL + "/", tokenFile: token}, output: "json"}
	var out bytes.Buffer
	if err := cfg.follow(t.Context(), &out); err == nil || !strings.Contains(err.Error(), "ended the stream") || strings.Count(out.String(), "\n") != 5 {
		t.Errorf("follow() = %v with %q, want all lines", err, out.String())
	}
	if got.URL.Path != "/webhooks" || got.Header.Get("Authorization") != "Bearer open sesame" {
		t.Errorf("request = %s %v, want /webhooks with the token", got.URL, got.Header)
	}
	answer = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no\x1bentry", http.StatusUnauthorized) }
	if err := cfg.follow(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "401 Unauthorized: no?entry") {
		t.Errorf("follow() of a refusal = %v, want the status and the reason", err)
	}
	answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }
	if err := cfg.follow(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "read the stream") {
		t.Errorf("follow() of another server = %v, want that it cannot be read", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	answer = func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	}
	if err := cfg.follow(ctx, io.Discard); err != nil {
		t.Errorf("follow() until the user stops it = %v, want nil", err)
	}
	for want, bad := range map[string]tailConfig{
		`output is "xml"`:           {adminTarget: adminTarget{url: server.URL}, output: "xml"},
		"admin-url (ADMIN_URL) is":  {adminTarget: adminTarget{url: "http://a b"}, output: "text"},
		"follow the webhooks at ":   {adminTarget: adminTarget{url: "http://127.0.0.1:1"}, output: "text"},
		"admin-token-file":          {adminTarget: adminTarget{url: server.URL, tokenFile: token + "x"}, output: "text"},
		"read admin-ca-file":        {adminTarget: adminTarget{url: server.URL, caFile: token + "x"}, output: "text"},
		"has no certificate in PEM": {adminTarget: adminTarget{url: server.URL, caFile: token}, output: "text"},
	} {
		if err := bad.follow(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("follow() of %+v = %v, want an error with %q", bad, err, want)
		}
	}
}
