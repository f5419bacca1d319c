package transport

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

const testToken = "0123456789abcdef0123456789abcdef"

// TestConformance runs the suite in every mode of payments.Modes. That of mode kafka
// is in its package.
func TestConformance(t *testing.T) {
	for _, mode := range payments.Modes {
		switch {
		case mode == payments.Kafka:
			continue
		case mode == payments.Direct:
			t.Run("direct", func(t *testing.T) {
				transporttest.Run(t, transporttest.Harness{
					Verdict: payrelayv1.Verdict_VERDICT_APPLIED,
					Open: func(_ *testing.T, far *transporttest.FarSide) *transporttest.Link {
						return &transporttest.Link{Client: NewDirect(far)}
					},
				})
			})
		case mode.RPC():
			for shape, unary := range map[string]bool{"batched": false, "unary": true} {
				t.Run(string(mode)+"/"+shape, func(t *testing.T) {
					t.Parallel()
					transporttest.Run(t, transporttest.Harness{
						Verdict: payrelayv1.Verdict_VERDICT_APPLIED,
						Open: func(t *testing.T, far *transporttest.FarSide) *transporttest.Link {
							return openRPC(t, mode, far, unary)
						},
					})
				})
			}
		default:
			t.Errorf("mode %s has no harness: add one here, or in the package of the mode", mode)
		}
	}
}

// openRPC connects a client to the internal listener of the api role.
func openRPC(t *testing.T, mode payments.Mode, far *transporttest.FarSide, unary bool) *transporttest.Link {
	serve := func(addr string) (*transporttest.Running, string) {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		relay := api.NewRelay(far, transporttest.Quiet())
		in, err := api.NewInternal(api.Config{InternalTokens: []string{testToken}}, listener, relay, transporttest.Quiet())
		if err != nil {
			t.Fatal(err)
		}
		return transporttest.Start(in.Run), in.Addr()
	}
	server, backend := serve("127.0.0.1:0")
	// The listener cannot be killed, so connections are cut in front of it.
	front := newFront(t, backend)
	t.Cleanup(func() {
		far.Block()() // unblock
		if err := server.Stop(); err != nil {
			t.Errorf("stop the far side: %v", err)
		}
	})
	client, err := NewRPC(mode, RPCConfig{URL: "http://" + front.addr, Token: testToken, Unary: unary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &transporttest.Link{
		Client: client,
		Close:  client.Close,
		Restart: func() error {
			err := server.Stop()
			server, _ = serve(backend)
			return err
		},
		Kill:   front.kill,
		Revive: front.revive,
		Freeze: nil,
		Garbage: func(garbage []byte) {
			for _, mediaType := range []string{"application/proto", "application/json", "application/grpc"} {
				sendGarbage(t, "http://"+backend+payrelayv1connect.RelayServiceApplyUpdatesProcedure, mediaType, garbage)
			}
			conn, err := net.Dial("tcp", backend)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write(append(garbage, "\r\n\r\n"...))
		},
	}
}

func sendGarbage(t *testing.T, url, mediaType string, garbage []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(garbage))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Authorization", "Bearer "+testToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("%s: garbage is answered with %s, want a status below 500", mediaType, resp.Status)
	}
}

// front is a TCP proxy in front of a server. It can be killed with all its connections
// and started again at its address.
type front struct {
	t       *testing.T
	backend string
	addr    string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
}

func newFront(t *testing.T, backend string) *front {
	f := &front{t: t, backend: backend, addr: "127.0.0.1:0", conns: make(map[net.Conn]bool)}
	f.revive()
	t.Cleanup(f.kill)
	return f
}

func (f *front) revive() {
	f.t.Helper()
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	f.listener, f.addr = listener, listener.Addr().String()
	f.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go f.relay(conn)
		}
	}()
}

// kill resets every connection, as the end of a process does.
func (f *front) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.listener.Close()
	for conn := range f.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func (f *front) relay(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", f.backend)
	if err != nil {
		return
	}
	defer far.Close()
	f.mu.Lock()
	f.conns[near] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.conns, near)
	}()
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
		close(done)
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-done
}
