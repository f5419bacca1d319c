package api

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net/http"
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
// verified source through both roles to a database.
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
			resp, err := http.Post(path, "application/json", strings.NewReader(body))
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
	letters, err := store.DeadLetters(t.Context(), payments.DeadLetterQuery{Limit: 100})
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

// startIngest starts the listener for webhooks with a verified source, and returns the
// URL of its orders.
func startIngest(t *testing.T, next payments.ApplierFunc) string {
	t.Helper()
	var cfg ingest.Config
	cfg.RegisterFlags(flag.NewFlagSet("test", flag.PanicOnError))
	cfg.Addr, cfg.Sources = "127.0.0.1:0", []ingest.Source{{Name: "signed", Verified: true}}
	server, err := ingest.New(cfg, next, quiet())
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
