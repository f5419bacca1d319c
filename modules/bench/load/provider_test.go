package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func provider(t *testing.T, url string) *Provider {
	t.Helper()
	target, err := NewTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	p := NewProvider(script(t, "orders", MinBodyBytes), target, 5*time.Second)
	t.Cleanup(p.Close)
	return p
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestProviderSendsEachWebhookOnce(t *testing.T) {
	for name, shape := range map[string]Shape{
		"closed loop": {Connections: 4, Duration: 300 * time.Millisecond},
		"open loop":   {Connections: 4, Rate: 200, Duration: 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			bodies := make(map[string]int)
			p := provider(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("request is %s %v (%v), want POST of application/json", r.Method, r.Header, err)
				}
				mu.Lock()
				defer mu.Unlock()
				bodies[r.URL.Path+string(body)]++
				_, _ = fmt.Fprint(w, `{"verdict":"applied"}`)
			}))
			r := p.Run(t.Context(), shape)
			if r.Sent == 0 || r.Accepted != r.Sent || r.Latency.TotalCount() != r.Sent || len(r.Errors) != 0 {
				t.Errorf("sent %d, accepted %d, measured %d, errors %v, want all accepted and measured", r.Sent, r.Accepted, r.Latency.TotalCount(), r.Errors)
			}
			if shape.Open() && r.Sent != 60 {
				t.Errorf("sent %d in an open loop, want 60", r.Sent)
			}
			for n := range r.Sent {
				w := p.script.webhook(n, nil)
				if got := bodies[w.Path()+string(w.Body)]; got != 1 {
					t.Errorf("webhook %d was received %d times, want once", n, got)
				}
			}
			if int64(len(bodies)) != r.Sent || int64(len(p.attempts)) != r.Sent {
				t.Errorf("%d bodies received, %d attempts recorded, want %d", len(bodies), len(p.attempts), r.Sent)
			}
		})
	}
}

func TestProviderKeepsItsConnections(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]bool)
	p := provider(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.RemoteAddr] = true
	}))
	for range 2 {
		p.Run(t.Context(), Shape{Connections: 3, Duration: 100 * time.Millisecond})
	}
	if len(seen) != 3 {
		t.Errorf("%d connections were opened, want 3", len(seen))
	}
}

func TestErrorsAreCountedByKind(t *testing.T) {
	answers := []func(http.ResponseWriter){
		func(w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) },
		func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprint(w, `{"error":{"code":"overloaded","message":"…","request_id":"…"}}`)
		},
		func(w http.ResponseWriter) { http.Error(w, "a proxy's error page", http.StatusBadGateway) },
		func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	}
	n := 0 // one connection, one request at a time
	p := provider(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n++
		answers[(n-1)%len(answers)](w)
	}))
	r := p.Run(t.Context(), Shape{Connections: 1, Rate: 100, Duration: 80 * time.Millisecond})
	want := fmt.Sprint(map[string]int64{"503 overloaded": 2, "502": 2, "connection lost": 2})
	if r.Accepted != 2 || fmt.Sprint(r.Errors) != want {
		t.Errorf("accepted %d, errors %v, want 2 and %s", r.Accepted, r.Errors, want)
	}
}

func TestTargetRefusesConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	r := provider(t, "http://"+listener.Addr().String()).Run(t.Context(), Shape{Connections: 2, Duration: 100 * time.Millisecond})
	if r.Accepted != 0 || r.Errors["connection refused"] != r.Sent || r.Sent == 0 {
		t.Errorf("sent %d, accepted %d, errors %v, want every connection refused", r.Sent, r.Accepted, r.Errors)
	}
	if r.Sent > 200 {
		t.Errorf("%d webhooks tried in 100 ms, want at most 200", r.Sent)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	p := provider(t, serve(t, func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	begin := time.Now()
	p.Run(ctx, Shape{Connections: 2, Duration: time.Minute})
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("Run returned after %s, want soon after its context ended", took)
	}
}

func TestNewTarget(t *testing.T) {
	for address, host := range map[string]string{
		"http://127.0.0.1:3001": "127.0.0.1:3001",
		"https://example.com/":  "example.com:https",
		"127.0.0.1:3001":        "",
		"ftp://example.com":     "",
		"http://example.com/a":  "",
	} {
		target, err := NewTarget(address)
		if target.host != host || (err == nil) != (host != "") {
			t.Errorf("NewTarget(%q) = %q, %v, want %q", address, target.host, err, host)
		}
	}
}

func TestOrders(t *testing.T) {
	s := script(t, "mix", MinBodyBytes)
	p := NewProvider(s, Target{}, 0)
	sent := make(map[string]bool)
	for n := range int64(3 * interleaved) {
		p.note([]attempt{{n, n%7 != 0}})
		if w := s.webhook(n, nil); n%7 != 0 {
			sent[w.EventID] = true
		} else if _, known := sent[w.EventID]; !known {
			sent[w.EventID] = false
		}
	}
	seen := make(map[string]bool)
	for o := range p.Orders() {
		if seen[o.ID] {
			t.Fatalf("Orders() returns order %s twice", o.ID)
		}
		seen[o.ID] = true
		for i, w := range o.Webhooks {
			accepted, known := sent[w.EventID]
			if !known || accepted != w.Accepted || w.OrderID != o.ID {
				t.Fatalf("webhook %s of order %s is accepted = %v, want %v; sent = %v", w.EventID, w.OrderID, w.Accepted, accepted, known)
			}
			if i > 0 && !o.Webhooks[i-1].At.Before(w.At) {
				t.Errorf("the webhooks of order %s are not in the order of their times", o.ID)
			}
			delete(sent, w.EventID)
		}
	}
	if len(sent) > 0 {
		t.Errorf("Orders() lacks %d webhooks: %.200s", len(sent), fmt.Sprint(sent))
	}
	if got, want := p.Accepted(), int64(3*interleaved)-(3*interleaved+6)/7; got != want {
		t.Errorf("Accepted() = %d, want %d", got, want)
	}
}

// inMemory is a network of pipes, which work with the clock of testing/synctest.
type inMemory struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (n *inMemory) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	n.conns <- far
	return near, nil
}

func (n *inMemory) Accept() (net.Conn, error) {
	select {
	case conn := <-n.conns:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *inMemory) Close() error {
	close(n.closed)
	return nil
}

func (n *inMemory) Addr() net.Addr { return &net.TCPAddr{} }

// A target that stalls for 20 ms in every second delays 2% of the webhooks that fall
// due at a fixed rate, half of them by at least 10 ms. An open loop must show that
// in its 99th percentile. A closed loop hides it because it sends nothing meanwhile.
func TestOpenLoopSeesAStall(t *testing.T) {
	for name, c := range map[string]struct {
		shape Shape
		sees  bool
	}{
		"open loop":   {Shape{Connections: 64, Rate: 250, Duration: 10 * time.Second}, true},
		"closed loop": {Shape{Connections: 2, Duration: 2 * time.Second}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := runOnStallingServer(t, c.shape)
				p50, p99 := r.Latency.ValueAtPercentile(50), r.Latency.ValueAtPercentile(99)
				if p50 > 1100 {
					t.Errorf("p50 = %d µs, want the 1 ms that an answer takes", p50)
				}
				if sees := p99 >= 10_000; sees != c.sees {
					t.Errorf("p99 = %d µs, want at least 10000: %v", p99, c.sees)
				}
			})
		})
	}
}

// With one connection, nearly all delayed webhooks wait to be sent: Answer does not
// show the stall, and Late and Answer add up to the latency.
func TestAnswerIsCountedFromTheSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runOnStallingServer(t, Shape{Connections: 1, Rate: 250, Duration: 10 * time.Second})
		if p99 := r.Answer.ValueAtPercentile(99); p99 > 1100 {
			t.Errorf("p99 of Answer = %d µs, want about 1000", p99)
		}
		if p99 := r.Latency.ValueAtPercentile(99); p99 < 10_000 {
			t.Errorf("p99 = %d µs, want at least 10000", p99)
		}
		if sum := r.Late.Mean() + r.Answer.Mean(); math.Abs(sum-r.Latency.Mean()) > 0.01*sum {
			t.Errorf("mean of Late = %v µs and of Answer = %v µs, want the sum to be that of Latency, %v µs", r.Late.Mean(), r.Answer.Mean(), r.Latency.Mean())
		}
	})
}

func runOnStallingServer(t *testing.T, shape Shape) *Result {
	begin := time.Now()
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		const stall = 20 * time.Millisecond
		if into := time.Since(begin) % time.Second; into < stall {
			time.Sleep(stall - into)
		}
		time.Sleep(time.Millisecond)
	})}
	network := &inMemory{make(chan net.Conn), make(chan struct{})}
	done := make(chan error)
	go func() { done <- server.Serve(network) }()

	p := NewProvider(script(t, "orders", MinBodyBytes), Target{host: "stalling", dial: network.dial}, 5*time.Second)
	p.pause = func(until time.Time) { time.Sleep(time.Until(until)) } // on the clock of synctest
	r := p.Run(t.Context(), shape)
	p.Close()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	return r
}
