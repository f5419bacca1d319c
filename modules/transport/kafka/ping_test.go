package kafka

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/transport"
)

func newPinger(t *testing.T, cfg Config) *Pinger {
	t.Helper()
	p, err := NewPinger(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// unused returns an address at which no broker listens.
func unused(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestPing(t *testing.T) {
	b, cfg := startKafka(t)
	p := newPinger(t, cfg)
	for range 3 {
		if err := p.Ping(t.Context()); err != nil {
			t.Fatalf("Ping() = %v, want nil", err)
		}
	}
	b.kill()
	if err := p.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), b.addr) {
		t.Errorf("Ping() without the broker = %v, want an error that names it", err)
	}
	b.revive()
	wait.Until(t, patience, "an answer", func() bool { return p.Ping(t.Context()) == nil })
}

func TestPingAsksTheNextBroker(t *testing.T) {
	_, cfg := startKafka(t)
	cfg.Brokers = append([]string{unused(t), unused(t)}, cfg.Brokers...)
	p := newPinger(t, cfg)
	for range 2 {
		if err := p.Ping(t.Context()); err != nil {
			t.Fatalf("Ping() = %v with one of three brokers, want nil", err)
		}
	}
	if p.next != 2 {
		t.Errorf("the next broker is %d, want the one that answers", p.next)
	}
}

// A broker that is stopped still accepts connections: its kernel does.
func TestPingOfAStoppedBrokerEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, cfg := startKafka(t)
	cfg.Brokers = []string{listener.Addr().String()}
	p := newPinger(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), transport.WatchTimeout)
	defer cancel()
	begin := time.Now()
	if err := p.Ping(ctx); err == nil {
		t.Error("Ping() = nil of a listener that says nothing")
	}
	if took := time.Since(begin); took > 2*transport.WatchTimeout { // far less than the timeouts of the library
		t.Errorf("Ping() took %v, want %v", took, transport.WatchTimeout)
	}
}

// A ping costs one connection, and not one each time.
func TestPingKeepsItsConnection(t *testing.T) {
	_, cfg := startKafka(t)
	p := newPinger(t, cfg)
	if err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := p.broker
	if err := p.Ping(t.Context()); err != nil || p.broker != first {
		t.Errorf("Ping() = %v, with the same connection: %v", err, p.broker == first)
	}
}
