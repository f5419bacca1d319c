package transport

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestPing checks which answers to a health check mean that the api role is there.
func TestPing(t *testing.T) {
	for _, mode := range rpcModes {
		var status atomic.Int32
		status.Store(http.StatusOK)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.URL.Path != "/grpc.health.v1.Health/Check" || r.Header.Get("Authorization") != "" {
				t.Errorf("%s %s with the token %q, want a health check without one", r.Method, r.URL.Path, r.Header.Get("Authorization"))
			}
			w.WriteHeader(int(status.Load()))
		}))
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetHTTP1(true)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		client := connectTo(t, mode, RPCConfig{URL: server.URL + "/", Token: "secret"})
		for code, there := range map[int]bool{200: true, 401: true, 404: true, 302: true, 500: true, 502: false, 503: false, 504: false} {
			status.Store(int32(code))
			if err := client.Ping(t.Context()); (err == nil) != there {
				t.Errorf("%s: Ping() = %v for an answer %d, want there = %v", mode, err, code, there)
			}
		}
		server.Close()
		if err := client.Ping(t.Context()); err == nil {
			t.Errorf("%s: Ping() = nil without a server", mode)
		}
	}
}

// A ping waits for no connection that calls occupy.
func TestPingHasItsOwnConnection(t *testing.T) {
	release := make(chan struct{})
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/grpc.health.v1.Health/Check" {
			calls.Add(1)
			<-release
		}
	}))
	defer server.Close()
	defer close(release)
	client := connectTo(t, "http", RPCConfig{URL: server.URL})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range connections + 1 {
		go func() { _, _ = client.Apply(ctx, one()) }()
	}
	for deadline := time.Now().Add(20 * time.Second); calls.Load() < connections; {
		if time.Now().After(deadline) {
			t.Fatalf("%d calls in flight, want %d", calls.Load(), connections)
		}
		if err := client.Ping(t.Context()); err != nil {
			t.Fatalf("Ping() = %v beside calls, want nil", err)
		}
	}
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("Ping() = %v beside as many calls as there are connections, want nil", err)
	}
}
