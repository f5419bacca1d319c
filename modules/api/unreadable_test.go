package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"google.golang.org/protobuf/proto"
)

// TestUnreadableWebhookIsOneDeadLetter sends bodies that no decoder can read from a
// signed source through both roles to a database.
func TestUnreadableWebhookIsOneDeadLetter(t *testing.T) {
	store, err := sqlite.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "payrelay.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := make(map[string]int64)
	for protocol, client := range clients(startInternal(t, payments.NewLedger(store), "")) {
		path := startIngest(t, func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			answer, err := client.ApplyUpdates(ctx, &payrelayv1.ApplyUpdatesRequest{Updates: updates})
			return answer.GetOutcomes(), err
		})
		for _, body := range []string{`{"provider_event_id":"evt-1","order_id":`, "[1]", "[1]", "{\"order_id\":\"\xff\"}", `{"a":` + strings.Repeat("[", 200)} {
			request, err := http.NewRequest(http.MethodPost, path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			mac := hmac.New(sha256.New, []byte(signingKey))
			mac.Write([]byte(body))
			request.Header.Set("X-Signature", fmt.Sprintf("%x", mac.Sum(nil)))
			resp, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), `"verdict":"dead_lettered","reason":"undecodable"`) {
				t.Errorf("%s: answer to %q = %d %s, want 200 undecodable", protocol, body, resp.StatusCode, answer)
			}
			want[body]++
		}
	}
	letters, err := store.DeadLetters(t.Context(), payments.DeadLetterQuery{Limit: 100, WithPayload: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(letters) != len(want) {
		t.Errorf("%d dead letters, want %d", len(letters), len(want))
	}
	for _, listed := range letters {
		letter, err := store.DeadLetter(t.Context(), listed.ID)
		if err != nil {
			t.Fatal(err)
		}
		update := new(payrelayv1.Update)
		if err := proto.Unmarshal(letter.Payload, update); err != nil {
			t.Fatal(err)
		}
		body := string(update.GetRawBody())
		if want[body] == 0 || letter.Deliveries != want[body] {
			t.Errorf("dead letter of %q has %d deliveries, want %d", body, letter.Deliveries, want[body])
		}
		if letter.Key.Source != "signed" || letter.Key.EventID != fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(body))) {
			t.Errorf("key of %q = %v, want the source signed and the SHA-256", body, letter.Key)
		}
	}
}

// signingKey is the secret of the source "signed".
const signingKey = "0123456789abcdef0123456789abcdef"

// startIngest starts the listener for webhooks with a signed source, and returns the
// URL of its orders.
func startIngest(t *testing.T, next payments.ApplierFunc) string {
	t.Helper()
	var cfg ingest.Config
	cfg.RegisterFlags(flag.NewFlagSet("test", flag.PanicOnError))
	cfg.SourcesFile = filepath.Join(t.TempDir(), "sources.yaml")
	const source = "sources: [{name: signed, provider: generic, secrets: [{secret: " + signingKey + "}], signature: {scheme: hmac, header: X-Signature, algorithm: sha256, encoding: hex}}]"
	if err := os.WriteFile(cfg.SourcesFile, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ingest.New(cfg, listener, next, quiet())
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
	return "http://" + server.Addr() + "/webhooks/signed/orders"
}
