package provider_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/ingest/provider"
	"github.com/payrelay/payrelay/modules/payments"
)

// madeUp is a provider that does not exist. It signs with its secret in a header, and
// sends a list of payments.
type madeUp struct{ settings provider.Settings }

func (m madeUp) Verify(_ context.Context, r *provider.Request) (int, error) {
	switch shown := r.Header.Get("Made-Up-Secret"); {
	case shown == "down":
		return 0, errors.New("the server that knows is down")
	case shown != m.settings.Secrets[0].Value:
		return 0, &provider.Failure{Code: provider.SignatureInvalid, Message: "the secret is wrong"}
	}
	return 0, nil
}

func (m madeUp) Decode(r *provider.Request) (provider.Webhook, error) {
	var body struct {
		Environment string
		Paid        []string
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return provider.Webhook{}, &jsonbody.Malformed{Code: "invalid_json", Message: "it is no JSON"}
	}
	webhook := provider.Webhook{Event: "paid", Environment: provider.Environment(body.Environment)}
	for _, order := range body.Paid {
		if order == "panic" {
			panic("a mistake in the adapter")
		}
		webhook.Updates = append(webhook.Updates, &payrelayv1.Update{
			EventId: "paid-" + order, OrderId: m.settings.OrderIDPrefix + order, OccurredAt: timestamppb.New(r.ReceivedAt), RawBody: []byte(order + "."),
			Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS}},
		})
	}
	return webhook, nil
}

// applier records updates, and returns APPLIED, or DEAD_LETTERED for unreadable ones.
type applier struct {
	mu      sync.Mutex
	updates []*payrelayv1.Update
}

func (a *applier) Apply(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var outcomes []*payrelayv1.Outcome
	for _, u := range updates {
		if err := payments.Validate(u); err != nil {
			return nil, err
		}
		outcome := &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}
		if u.GetSubject() == nil {
			outcome = &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE}
		}
		outcomes = append(outcomes, outcome)
	}
	a.updates = append(a.updates, updates...)
	return outcomes, nil
}

// TestMadeUpProvider adds a provider with one line in the table, and sends its webhooks
// to a server that is configured by a file.
func TestMadeUpProvider(t *testing.T) {
	provider.AddProvider(t, "made-up", func(s provider.Settings) (provider.Adapter, error) { return madeUp{s}, nil }, "thank you")
	var cfg ingest.Config
	cfg.RegisterFlags(flag.NewFlagSet("test", flag.PanicOnError))
	cfg.SourcesFile = filepath.Join(t.TempDir(), "sources.yaml")
	const file = "sources: [{name: mine, provider: made-up, environment: test, order_id: {prefix: p-}, secrets: [{secret: open sesame}]}, " +
		"{name: any, provider: made-up, secrets: [{secret: open sesame}]}]"
	if err := os.WriteFile(cfg.SourcesFile, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	next := &applier{}
	server, err := ingest.New(cfg, listener, next, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		source       string // mine, if it is empty
		secret, body string
		status       int
		answer       string
		applied      []string // order ids, or "?" for what cannot be read
	}{
		{"any", "open sesame", `{"environment":"live","paid":["g"]}`, http.StatusOK, "thank you", []string{"g"}},
		{"", "open sesame", `{"environment":"test","paid":["a","b"]}`, http.StatusOK, "thank you", []string{"p-a", "p-b"}},
		{"", "open sesame", `{"paid":["c"]}`, http.StatusOK, "thank you", []string{"p-c"}},
		{"", "open sesame", `{"environment":"live","paid":["d"]}`, http.StatusOK, "thank you", []string{"?"}},
		{"", "open sesame", `{"paid":[]}`, http.StatusOK, "thank you", []string{"?"}},
		{"", "open sesame", `nonsense`, http.StatusOK, "thank you", []string{"?"}},
		{"", "open sesame", `{"paid":["e","panic"]}`, http.StatusOK, "thank you", []string{"?"}},
		{"", "open sesame", `{"paid":["f","` + strings.Repeat("x", 300) + `"]}`, http.StatusOK, "thank you", []string{"p-f", "?"}},
		{"", "guess", `{"paid":["a"]}`, http.StatusUnauthorized, "the secret is wrong", nil},
		{"", "", `{"paid":["a"]}`, http.StatusUnauthorized, "signature_invalid", nil},
		{"", "down", `{"paid":["a"]}`, http.StatusServiceUnavailable, "send it again", nil},
	} {
		next.updates = nil
		source := cmp.Or(c.source, "mine")
		request, err := http.NewRequest(http.MethodPost, "http://"+server.Addr()+"/webhooks/"+source, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Made-Up-Secret", c.secret)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(response.Body)
		response.Body.Close()
		var applied []string
		for _, u := range next.updates {
			if u.GetProvider() != source {
				t.Errorf("%s: provider = %q, want the source", c.body, u.GetProvider())
			}
			if u.GetSubject() == nil {
				applied = append(applied, "?")
			} else {
				applied = append(applied, u.GetOrderId())
			}
		}
		if response.StatusCode != c.status || !strings.Contains(string(answer), c.answer) || strings.Join(applied, " ") != strings.Join(c.applied, " ") {
			t.Errorf("%s with %q: answer = %d %s, applied %v, want %d %s, %v", c.body, c.secret, response.StatusCode, answer, applied, c.status, c.answer, c.applied)
		}
	}
}
