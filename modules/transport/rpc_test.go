package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/modules/payments"
)

var rpcModes = []payments.Mode{payments.HTTP, payments.Protobuf, payments.GRPC}

// peer is an api role with an answer of the test, which records the requests.
type peer struct {
	payrelayv1connect.UnimplementedRelayServiceHandler
	answer func([]*payrelayv1.Update) ([]*payrelayv1.Outcome, error)

	mu       sync.Mutex
	requests []*http.Request
	batches  []int
}

func (p *peer) ApplyUpdates(_ context.Context, req *payrelayv1.ApplyUpdatesRequest) (*payrelayv1.ApplyUpdatesResponse, error) {
	outcomes, err := p.take(req.GetUpdates())
	return &payrelayv1.ApplyUpdatesResponse{Outcomes: outcomes}, err
}

func (p *peer) ApplyUpdate(_ context.Context, req *payrelayv1.ApplyUpdateRequest) (*payrelayv1.ApplyUpdateResponse, error) {
	outcomes, err := p.take([]*payrelayv1.Update{req.GetUpdate()})
	answer := new(payrelayv1.ApplyUpdateResponse)
	if len(outcomes) > 0 {
		answer.Outcome = outcomes[0]
	}
	return answer, err
}

func (p *peer) take(updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batches = append(p.batches, len(updates))
	if p.answer != nil {
		return p.answer(updates)
	}
	outcomes := make([]*payrelayv1.Outcome, len(updates))
	for i := range outcomes {
		outcomes[i] = &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}
	}
	return outcomes, nil
}

// serve starts the peer.
func (p *peer) serve(t *testing.T, secure bool) *httptest.Server {
	t.Helper()
	_, handler := payrelayv1connect.NewRelayServiceHandler(p)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, r)
		p.mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetHTTP2(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	if secure {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

func connectTo(t *testing.T, mode payments.Mode, cfg RPCConfig) *RPC {
	t.Helper()
	client, err := NewRPC(mode, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestEachModeHasItsWire(t *testing.T) {
	want := map[payments.Mode]struct {
		major     int
		mediaType string
	}{payments.HTTP: {1, "application/json"}, payments.Protobuf: {1, "application/proto"}, payments.GRPC: {2, "application/grpc"}}
	for i := range 4 {
		secure, http2 := i%2 == 1, i/2 == 1
		for _, mode := range rpcModes {
			p := new(peer)
			server := p.serve(t, secure)
			client := connectTo(t, mode, RPCConfig{URL: server.URL, HTTP2: http2, Token: "secret"})
			if secure {
				client.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
			}
			if _, err := client.Apply(t.Context(), one()); err != nil {
				t.Errorf("%s, TLS %v, HTTP/2 %v: %v", mode, secure, http2, err)
				continue
			}
			r, major := p.requests[0], want[mode].major
			if http2 {
				major = 2
			}
			if r.ProtoMajor != major || !strings.HasPrefix(r.Header.Get("Content-Type"), want[mode].mediaType) || (r.TLS != nil) != secure {
				t.Errorf("%s, TLS %v, HTTP/2 %v: %s with %s", mode, secure, http2, r.Proto, r.Header.Get("Content-Type"))
			}
			if r.Header.Get("Authorization") != "Bearer secret" {
				t.Errorf("%s: Authorization = %q, want the token", mode, r.Header.Get("Authorization"))
			}
			for name, values := range r.Header {
				if strings.Contains(name, "Encoding") && strings.Contains(strings.Join(values, ","), "gzip") {
					t.Errorf("%s asks for compression: %s: %v", mode, name, values)
				}
			}
		}
	}
}

func TestNoTokenIsSentWhenThereIsNone(t *testing.T) {
	p := new(peer)
	client := connectTo(t, payments.HTTP, RPCConfig{URL: p.serve(t, false).URL})
	if _, err := client.Apply(t.Context(), one()); err != nil || p.requests[0].Header.Get("Authorization") != "" {
		t.Errorf("Apply = %v with Authorization %q, want none", err, p.requests[0].Header.Get("Authorization"))
	}
}

func TestWrongNumberOfOutcomesIsAnError(t *testing.T) {
	for _, mode := range rpcModes {
		for _, unary := range []bool{false, true} {
			p := &peer{answer: func([]*payrelayv1.Update) ([]*payrelayv1.Outcome, error) { return nil, nil }}
			client := connectTo(t, mode, RPCConfig{URL: p.serve(t, false).URL, Unary: unary})
			_, err := client.Apply(t.Context(), one())
			if err == nil || !strings.Contains(err.Error(), "0 outcomes") || ClassOf(err) != Broken {
				t.Errorf("%s, unary %v: error = %v, want one about 0 outcomes", mode, unary, err)
			}
		}
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	for _, mode := range rpcModes {
		for _, want := range []connect.Code{connect.CodeUnavailable, connect.CodeInvalidArgument, connect.CodeUnauthenticated, connect.CodeDeadlineExceeded} {
			p := &peer{answer: func([]*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
				return nil, connect.NewError(want, errors.New("why"))
			}}
			_, err := connectTo(t, mode, RPCConfig{URL: p.serve(t, false).URL}).Apply(t.Context(), one())
			if connect.CodeOf(err) != want || !strings.Contains(err.Error(), "why") {
				t.Errorf("%s: error = %v, want the code %v", mode, err, want)
			}
		}
	}
}

// A peer or proxy without room may have some later. Only this side's check of the
// size is final, or a busy proxy would make a provider drop its webhook.
func TestExhaustedPeerIsNotFinal(t *testing.T) {
	for _, mode := range rpcModes {
		p := &peer{answer: func([]*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			return nil, connect.NewError(connect.CodeResourceExhausted, errors.New("too many requests"))
		}}
		for _, unary := range []bool{false, true} {
			_, err := connectTo(t, mode, RPCConfig{URL: p.serve(t, false).URL, Unary: unary}).Apply(t.Context(), one())
			if err == nil || code(err) != "" || ClassOf(err) != Busy {
				t.Errorf("%s, unary %v: error = %v, want the class Busy and no code", mode, unary, err)
			}
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	redirect := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer redirect.Close()
	if _, err := connectTo(t, payments.HTTP, RPCConfig{URL: redirect.URL, Token: "secret"}).Apply(t.Context(), one()); err == nil || reached {
		t.Errorf("Apply = %v, redirect followed = %v, want an error and false", err, reached)
	}
}

func TestAnswerWithoutBoundIsRefused(t *testing.T) {
	flood := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/proto")
		chunk := bytes.Repeat([]byte{0}, 64<<10)
		for range 1 << 10 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer flood.Close()
	_, err := connectTo(t, payments.Protobuf, RPCConfig{URL: flood.URL}).Apply(t.Context(), one())
	if err == nil || code(err) != "" {
		t.Errorf("error about an answer of 64 MiB = %v", err)
	}
}

func TestPeerThatIsNoAPI(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"a web page":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello</html>") },
		"a proxy's 502":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"a hung-up call": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		server := httptest.NewServer(handler)
		for _, mode := range []payments.Mode{payments.HTTP, payments.Protobuf} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if _, err := connectTo(t, mode, RPCConfig{URL: server.URL}).Apply(ctx, one()); err == nil {
				t.Errorf("%s: Apply over %s = nil, want an error", name, mode)
			}
			cancel()
		}
		server.Close()
	}
}

func TestSplitKeepsCallsSmall(t *testing.T) {
	sized := func(bytes int) *payrelayv1.Update {
		update := orderUpdate("event-1")
		update.RawBody = make([]byte, bytes)
		return update
	}
	var small []*payrelayv1.Update
	for range 10_000 {
		small = append(small, &payrelayv1.Update{})
	}
	tests := []struct {
		name    string
		updates []*payrelayv1.Update
		unary   bool
		calls   []int
	}{
		{"nothing", nil, false, nil},
		{"one", one(), false, []int{1}},
		{"unary", append(one(), one()...), true, []int{1, 1}},
		{"many tiny ones", small, false, []int{4096, 4096, 1808}},
		{"large ones", []*payrelayv1.Update{sized(500 << 10), sized(500 << 10), sized(1), sized(1)}, false, []int{1, 3}},
		{"a full call", []*payrelayv1.Update{sized(200 << 10), sized(200 << 10), sized(200 << 10)}, false, []int{2, 1}},
	}
	for _, test := range tests {
		calls, err := (&RPC{unary: test.unary}).split(test.updates)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		var got []int
		for _, updates := range calls {
			got = append(got, len(updates))
			wantFits(t, test.name, updates)
		}
		if len(got) != len(test.calls) {
			t.Errorf("%s: calls of %v, want %v", test.name, got, test.calls)
			continue
		}
		for i := range got {
			if got[i] != test.calls[i] {
				t.Errorf("%s: calls of %v, want %v", test.name, got, test.calls)
			}
		}
	}
}

// wantFits checks a call and its answer against the limits of both ends, as JSON.
func wantFits(t *testing.T, name string, updates []*payrelayv1.Update) {
	t.Helper()
	worst := &payrelayv1.Outcome{
		Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION,
	}
	answer := &payrelayv1.ApplyUpdatesResponse{}
	for range updates {
		answer.Outcomes = append(answer.Outcomes, worst)
	}
	for what, message := range map[string]proto.Message{"call": &payrelayv1.ApplyUpdatesRequest{Updates: updates}, "answer": answer} {
		text, err := protojson.Marshal(message)
		if err != nil || len(text) > 1<<20 {
			t.Errorf("%s: the %s has %d bytes as JSON, %v", name, what, len(text), err)
		}
	}
}

func TestTooLargeIsFoundBeforeAnythingIsSent(t *testing.T) {
	p := new(peer)
	large := orderUpdate("large")
	large.RawBody = make([]byte, payments.MaxUpdateBytes)
	client := connectTo(t, payments.HTTP, RPCConfig{URL: p.serve(t, false).URL, Unary: true})
	if _, err := client.Apply(t.Context(), append(one(), large)); !errors.Is(err, payments.ErrTooLarge) || len(p.requests) != 0 {
		t.Errorf("Apply = %v after %d calls, want %v after none", err, len(p.requests), payments.ErrTooLarge)
	}
}

func TestShapes(t *testing.T) {
	updates := append(one(), append(one(), one()...)...)
	for unary, want := range map[bool]int{false: 1, true: 3} {
		p := new(peer)
		client := connectTo(t, payments.Protobuf, RPCConfig{URL: p.serve(t, false).URL, Unary: unary})
		if outcomes, err := client.Apply(t.Context(), updates); err != nil || len(outcomes) != 3 || len(p.batches) != want {
			t.Errorf("unary %v: %d outcomes in %d calls, %v", unary, len(outcomes), len(p.batches), err)
		}
	}
}

func TestRPCServesTheRPCModesOnly(t *testing.T) {
	for _, mode := range payments.Modes {
		client, err := NewRPC(mode, RPCConfig{URL: "http://127.0.0.1:1"})
		if (err == nil) != mode.RPC() || (client != nil) != mode.RPC() {
			t.Errorf("NewRPC(%s) = %v, %v", mode, client, err)
		}
	}
}
