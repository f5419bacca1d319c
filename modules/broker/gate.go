package broker

import (
	"context"
	"net"
	"sync"
)

// gate is a listener that lets clients wait until it is opened. Before, it
// accepts only what dial connects, so that the broker can be its own first client.
type gate struct {
	net.Listener
	own  chan net.Conn
	open func()
	wait chan struct{} // closed by open
}

func newGate(ln net.Listener) *gate {
	wait := make(chan struct{})
	return &gate{Listener: ln, own: make(chan net.Conn), open: sync.OnceFunc(func() { close(wait) }), wait: wait}
}

func (g *gate) Accept() (net.Conn, error) {
	select {
	case conn := <-g.own:
		return conn, nil
	case <-g.wait:
		return g.Listener.Accept()
	}
}

// dial connects to the broker behind the gate, whatever the address. It works
// until the gate is open.
func (g *gate) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case g.own <- far:
		return near, nil
	case <-g.wait:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close also ends an Accept that waits for the gate.
func (g *gate) Close() error {
	err := g.Listener.Close()
	g.open()
	return err
}
