package broker

import (
	"context"
	"errors"
	"net"
	"testing"
)

func listenGate(t *testing.T) *gate {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(ln)
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func TestClientsWaitUntilTheGateIsOpen(t *testing.T) {
	g := listenGate(t)
	client, err := net.Dial("tcp", g.Addr().String()) // is first, and waits
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for range 2 {
			conn, err := g.Accept()
			if err != nil {
				t.Errorf("Accept: %v", err)
				return
			}
			accepted <- conn
		}
	}()
	own, err := g.dial(context.Background(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if conn := <-accepted; conn.RemoteAddr().Network() != "pipe" {
		t.Errorf("the closed gate let in %v", conn.RemoteAddr())
	}
	g.open()
	if conn := <-accepted; conn == nil || conn.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("the open gate let in %v, want the client", conn)
	}
	if _, err := g.dial(context.Background(), "", ""); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial after the gate is open = %v", err)
	}
}

func TestClosingTheGateEndsAccept(t *testing.T) {
	g := listenGate(t)
	done := make(chan error)
	go func() { _, err := g.Accept(); done <- err }()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept on a closed gate = %v", err)
	}
}

func TestDialBehindTheGateHonoursItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := listenGate(t).dial(ctx, "", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("dial = %v, want the context's end", err)
	}
}
