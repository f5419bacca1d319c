package cmd

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/modules/door"
)

// listedSource is a source as app sources list prints it.
type listedSource struct {
	Name, Provider, Environment string
	Open                        *int64 `json:"open_dead_letters"`
	Verified                    *int64
	Refused                     map[string]int64
	LastEventAt                 string `json:"last_event_at"`
	LastSeenAt                  string `json:"last_seen_at"`
	SecretExpiresAt             string `json:"secret_expires_at"`
}

// sourcesOfShop writes a file with one signed source, whose secret expires, and one that had
// no webhook yet.
func sourcesOfShop(t *testing.T) (file string) {
	t.Helper()
	const entry = "  - {name: %s, provider: generic, environment: live, signature: {scheme: hmac, header: X-Sign, algorithm: sha256, encoding: hex}, secrets: [%s]}\n"
	text := "sources:\n" + fmt.Sprintf(entry, "shop", "{secret: '"+shopSecret+"'}, {secret: an older secret of the shop 123, not_after: 2099-02-01T00:00:00Z}") +
		fmt.Sprintf(entry, "quiet", "{secret: '"+shopSecret+"'}")
	return testcert.Write(t, t.TempDir(), "sources.yaml", []byte(text))
}

const shopSecret = "0123456789abcdef0123456789abcdef"

// sendToShop sends a webhook that is signed by the secret and returns the status of the
// answer.
func sendToShop(t *testing.T, client *http.Client, ingest, event, secret, kind string) int {
	t.Helper()
	body := fmt.Sprintf(`{"provider_event_id": %q, "order_id": "order-1", "user_id": "user-1", "status": "created",
		"created_at": "2026-01-04T10:00:00Z", "updated_at": "2026-01-04T10:00:00Z", "meta": {"amount": "100.50", "currency": "USD"}}`, event)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ingest+"/webhooks/shop/orders", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, body)
	request.Header.Set("X-Sign", hex.EncodeToString(mac.Sum(nil)))
	request.Header.Set("Content-Type", kind)
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// listSources runs app sources list.
func listSources(t *testing.T, args ...string) map[string]listedSource {
	t.Helper()
	out, err := execute(t, append([]string{"sources", "list", "--output", "json"}, args...)...)
	var page struct{ Items []listedSource }
	if err := errors.Join(err, json.Unmarshal([]byte(out), &page)); err != nil {
		t.Fatalf("app sources list %q = %v: %s", args, err, out)
	}
	byName := make(map[string]listedSource)
	for _, source := range page.Items {
		byName[source.Name] = source
	}
	return byName
}

// serveIngest runs serve ingest until the test ends, and returns the URLs of its listeners.
func serveIngest(t *testing.T, args ...string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	printed, out := io.Pipe()
	command := newRoot()
	command.SetArgs(append([]string{"serve", "ingest", "--log-level", "error", "--ingest-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}, args...))
	command.SetOut(out)
	ended := make(chan error, 1)
	go func() {
		err := command.ExecuteContext(ctx)
		_ = out.CloseWithError(io.EOF) // ends the reader
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	urls := make(map[string]string)
	for lines := bufio.NewScanner(printed); len(urls) < 2 && lines.Scan(); {
		if found := listed.FindStringSubmatch(lines.Text()); found != nil {
			urls[found[1]] = found[2]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, printed) }()
	if len(urls) < 2 {
		t.Fatalf("serve ingest printed the listeners %v, want 2", urls)
	}
	return urls
}

// TestSourcesOfTheIngestRole sends webhooks that are verified and refused, and lists the
// sources: of one process by its api listener, and of an ingest role alone by its admin
// listener.
func TestSourcesOfTheIngestRole(t *testing.T) {
	secret, line, err := door.NewToken("grafana", door.Reader)
	if err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	token, tokens := testcert.Write(t, files, "token", []byte(secret+"\n")), testcert.Write(t, files, "tokens", []byte(line+"\n"))
	file := sourcesOfShop(t)
	all := serveAll(t, http.DefaultClient, t.TempDir(), "--mode", "http", "--sources", file)
	split := serveIngest(t, "--mode", "http", "--api-url", all.urls["internal"], "--sources", file, "--admin-tokens-file", tokens)
	for name, c := range map[string]struct {
		ingest string
		args   []string
		own    bool // whether the process has the database
	}{
		"serve all":                    {all.urls["ingest"], []string{"--api-url", all.urls["api"]}, true},
		"serve all, by its admin":      {all.urls["ingest"], []string{"--admin-url", all.urls["admin"]}, false},
		"serve ingest, split from api": {split["ingest"], []string{"--admin-url", split["admin"], "--admin-token-file", token}, false},
	} {
		before := listSources(t, c.args...)["shop"]
		if before.Provider != "generic" || before.Environment != "live" || before.SecretExpiresAt != "2099-02-01T00:00:00.000000Z" || before.Verified == nil {
			t.Fatalf("%s: shop = %+v, want its configuration", name, before)
		}
		for i, send := range []struct {
			secret, kind string
			want         int
		}{
			{shopSecret, "application/json", http.StatusOK},
			{shopSecret, "application/json", http.StatusOK},
			{"0123456789abcdef0123456789abcdeX", "application/json", http.StatusUnauthorized},
			{shopSecret, "text/plain", http.StatusUnsupportedMediaType},
		} {
			if got := sendToShop(t, http.DefaultClient, c.ingest, fmt.Sprint(name, i), send.secret, send.kind); got != send.want {
				t.Fatalf("%s: webhook %d is answered %d, want %d", name, i, got, send.want)
			}
		}
		after := listSources(t, c.args...)
		got := after["shop"]
		if *got.Verified != *before.Verified+2 || got.Refused["unsupported_media_type"] != before.Refused["unsupported_media_type"]+1 ||
			got.Refused["signature_invalid"] != before.Refused["signature_invalid"]+1 || len(got.Refused) != 2 {
			t.Errorf("%s: shop was %+v and is %+v, want 2 verified and 2 refused more", name, before, got)
		}
		if got.LastSeenAt == "" || got.LastSeenAt < before.LastSeenAt || (got.LastEventAt != "") != c.own || (got.Open != nil) != c.own {
			t.Errorf("%s: shop = %+v, want that it was seen, and what the database has only from its process", name, got)
		}
		if quiet := after["quiet"]; *quiet.Verified != 0 || quiet.LastSeenAt != "" || quiet.SecretExpiresAt != "" || len(quiet.Refused) > 0 {
			t.Errorf("%s: quiet = %+v, want no webhook", name, quiet)
		}
	}
	for want, args := range map[string][]string{
		"the answer is 401 Unauthorized": {"--admin-url", split["admin"]},
		"exclude each other":             {"--admin-url", split["admin"], "--api-url", all.urls["api"]},
		"the answer is 404 Not Found":    {"--admin-url", all.urls["ingest"]},
		"admin-url (ADMIN_URL) is":       {"--admin-url", "http://a b"},
	} {
		if out, err := execute(t, append([]string{"sources", "list"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("app sources list %q = %q, %v, want an error with %q", args, out, err, want)
		}
	}
	// A database without a server has what is recorded only.
	dir := contradictions(t, 1)
	if got := listSources(t, "--data-dir", dir)["generic"]; got.Verified != nil || got.LastEventAt == "" || got.Open == nil || *got.Open != 1 {
		t.Errorf("sources in %s = %+v, want what is recorded", filepath.Base(dir), got)
	}
}
