package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// recorder is an Applier that records its calls. It returns what answer returns, or
// APPLIED if answer is nil.
type recorder struct {
	mu      sync.Mutex
	batches [][]*payrelayv1.Update
	answer  func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)
}

func (r *recorder) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	r.mu.Lock()
	r.batches = append(r.batches, slices.Clone(updates))
	r.mu.Unlock()
	if r.answer != nil {
		return r.answer(ctx, updates)
	}
	return applied(updates), nil
}

func (r *recorder) calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.batches)
}

func (r *recorder) last() []*payrelayv1.Update {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.batches) == 0 {
		return nil
	}
	return r.batches[len(r.batches)-1]
}

func applied(updates []*payrelayv1.Update) []*payrelayv1.Outcome {
	outcomes := make([]*payrelayv1.Outcome, len(updates))
	for i := range outcomes {
		outcomes[i] = &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}
	}
	return outcomes
}

const testToken = "0123456789abcdef0123456789abcdef"

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// listen opens a listener on a free port, which is closed when the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// startInternal runs an internal server with the tokens, which space separates, until
// the test ends, and returns its URL.
func startInternal(t *testing.T, next payments.Applier, token string) string {
	t.Helper()
	in, err := NewInternal(Config{InternalTokens: strings.Fields(token)}, listen(t), NewRelay(next, quiet()), quiet())
	if err != nil {
		t.Fatal(err)
	}
	run(t, in)
	return "http://" + in.Addr()
}

// run runs a server until the test ends. Stop ends it earlier and returns what Run
// returned.
func run(t *testing.T, server *Server) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(30 * time.Second):
			return context.DeadlineExceeded
		}
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	})
	return stop
}

func orderUpdate(eventID string) *payrelayv1.Update {
	return &payrelayv1.Update{
		Provider: "generic", EventId: eventID, OrderId: "order-1", OccurredAt: timestamppb.New(time.Unix(1_767_000_000, 0)),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_CREATED}},
	}
}

func disputeUpdate(eventID string) *payrelayv1.Update {
	update := orderUpdate(eventID)
	update.Subject = &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN}}
	return update
}

// reply is an HTTP answer with its body.
type reply struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, url string, body []byte, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

// wantError checks the status, the code and the form of an error in JSON.
func (r reply) wantError(t *testing.T, status int, code string) {
	t.Helper()
	var body struct {
		Error struct {
			Code      string `json:"code"`
			Message   string `json:"message"`
			RequestID string `json:"request_id"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(r.body), &body); err != nil {
		t.Fatalf("the answer %d is not JSON: %v\n%s", r.status, err, r.body)
	}
	e := body.Error
	if r.status != status || e.Code != code {
		t.Fatalf("answer = %d %q, want %d %q: %s", r.status, e.Code, status, code, r.body)
	}
	if e.Message == "" || len(e.Message) > 256 || e.RequestID == "" || e.RequestID != r.header.Get("X-Request-Id") {
		t.Errorf("answer = %s, want a message of 1 to 256 bytes and the request ID of the header", r.body)
	}
}

// wantRPCError checks an error of the Connect protocol.
func (r reply) wantRPCError(t *testing.T, status int, code string) {
	t.Helper()
	var body struct{ Code string }
	_ = json.Unmarshal([]byte(r.body), &body)
	if r.status != status || body.Code != code {
		t.Errorf("answer = %d %q, want %d %q: %s", r.status, body.Code, status, code, r.body)
	}
}
