package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

const (
	ordersPath   = "/webhooks/payments/orders"
	disputesPath = "/webhooks/payments/chargebacks"
)

// recorder is an Applier that records its calls. It returns what apply returns, or
// APPLIED if apply is nil.
type recorder struct {
	apply func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)

	mu    sync.Mutex
	calls [][]*payrelayv1.Update
}

func (r *recorder) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	r.mu.Lock()
	r.calls = append(r.calls, updates)
	r.mu.Unlock()
	if r.apply != nil {
		return r.apply(ctx, updates)
	}
	return verdict(payrelayv1.Verdict_VERDICT_APPLIED), nil
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

// only returns the update of the only call.
func (r *recorder) only(t *testing.T) *payrelayv1.Update {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) != 1 || len(r.calls[0]) != 1 {
		t.Fatalf("calls of Apply = %v, want one with one update", r.calls)
	}
	return r.calls[0][0]
}

func verdict(v payrelayv1.Verdict) []*payrelayv1.Outcome {
	return []*payrelayv1.Outcome{{Verdict: v}}
}

func testConfig() Config {
	var cfg Config
	fs := flag.NewFlagSet("test", flag.PanicOnError)
	cfg.RegisterFlags(fs)
	return cfg
}

// listen opens a listener on a free port, which is closed when the test ends.
func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// running is a server that serves until the end of the test.
type running struct {
	*Server
	// stop stops the server and returns the result of Run.
	stop func() error
}

func serve(t *testing.T, cfg Config, next payments.Applier, limits timeouts, logTo io.Writer) *running {
	t.Helper()
	s, err := newServer(cfg, listen(t), next, slog.New(slog.NewTextHandler(logTo, &slog.HandlerOptions{Level: slog.LevelDebug})), limits)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = stop() })
	return &running{s, stop}
}

func start(t *testing.T, next payments.Applier) *running {
	t.Helper()
	cfg := testConfig()
	return serve(t, cfg, next, defaultTimeouts(cfg.Timeout), io.Discard)
}

// handler returns the handler of a server, for tests that need no connection.
func handler(t testing.TB, next payments.Applier) http.Handler {
	t.Helper()
	s, err := New(testConfig(), listen(t), next, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s.http.Handler
}

// reply is an answer, decoded both as an accepted webhook and as a refusal.
type reply struct {
	status int
	header http.Header
	raw    []byte
	answer
	Error errorBody `json:"error"`
}

func post(t testing.TB, h http.Handler, path, body string) reply {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return do(t, h, r)
}

func do(t testing.TB, h http.Handler, r *http.Request) reply {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return read(t, w.Result())
}

func read(t testing.TB, resp *http.Response) reply {
	t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := reply{status: resp.StatusCode, header: resp.Header, raw: raw}
	if err := json.Unmarshal(raw, &got); err != nil && resp.Request.Method != http.MethodHead {
		t.Fatalf("the body of the answer %d is not JSON: %v\n%s", resp.StatusCode, err, raw)
	}
	return got
}

// wantRefusal checks the status, the code and what all refusals have in common.
func wantRefusal(t testing.TB, got reply, status int, code string) {
	t.Helper()
	if got.status != status || got.Error.Code != code {
		t.Fatalf("answer = %d %s, want %d %s", got.status, got.raw, status, code)
	}
	if got.Error.Message == "" || len(got.Error.Message) > 256 {
		t.Errorf("message of %d bytes, want 1 to 256: %q", len(got.Error.Message), got.Error.Message)
	}
	if got.Error.RequestID == "" || got.Error.RequestID != got.header.Get("X-Request-Id") {
		t.Errorf("request ID = %q, and %q in the header", got.Error.RequestID, got.header.Get("X-Request-Id"))
	}
	if retry := got.header.Get("Retry-After"); (retry == "1") != (status == http.StatusServiceUnavailable) || retry != "" && retry != "1" {
		t.Errorf("Retry-After of an answer %d = %q", status, retry)
	}
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
