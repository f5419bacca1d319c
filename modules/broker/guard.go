package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	maxConns = 128
	// helloTimeout is how long a new connection may take to send its first request.
	// After that it may be idle, because on loopback the kernel reports when a peer
	// has died.
	helloTimeout = 10 * time.Second
	frameTimeout = 30 * time.Second // from a request's first byte to its last
	writeTimeout = 30 * time.Second
	acceptDelay  = 50 * time.Millisecond
)

// gate is a listener that makes clients wait until it is opened. Until then it
// accepts only connections of dial, so that the broker can be its own first client.
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

// dial connects to the broker behind the closed gate. It ignores the address and
// returns an error when the gate is open.
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

// Close also ends a call to Accept that waits for the gate.
func (g *gate) Close() error {
	err := g.Listener.Close()
	g.open()
	return err
}

// guard is a listener whose connections deliver only validated requests. kfake
// allocates the size that a frame claims and panics on many malformed requests, in
// its own goroutines, where other code cannot recover.
type guard struct {
	net.Listener
	produceLimit int
	log          *slog.Logger
	open         atomic.Int64
}

func newGuard(ln net.Listener, produceLimit int, log *slog.Logger) *guard {
	return &guard{Listener: ln, produceLimit: produceLimit, log: log}
}

// Accept returns the next connection, or an error when the listener is closed. After
// other errors, such as too many open files, it tries again, because kfake would stop
// listening.
func (g *guard) Accept() (net.Conn, error) {
	for {
		raw, err := g.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			g.log.Warn("the broker cannot accept a connection", "error", err)
			time.Sleep(acceptDelay)
			continue
		}
		if g.open.Add(1) > maxConns {
			g.open.Add(-1)
			g.log.Warn("the broker refuses a connection: too many are open", "limit", maxConns, "peer", raw.RemoteAddr())
			_ = raw.Close()
			continue
		}
		_ = raw.SetReadDeadline(time.Now().Add(helloTimeout))
		return &guardedConn{Conn: raw, guard: g}, nil
	}
}

// guardedConn validates each request before any of its bytes can be read. Only one
// goroutine may read at a time.
type guardedConn struct {
	net.Conn
	guard  *guard
	header [headerSize]byte
	ready  []byte // validated bytes that have not been read
	rest   int    // the number of bytes of the current request after ready
	served bool   // whether there was a request before
	closed sync.Once
}

// Read returns bytes of a validated request. Bodies are streamed, except for the few
// requests that inspect decodes.
func (c *guardedConn) Read(p []byte) (int, error) {
	if len(c.ready) == 0 && c.rest == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.ready) > 0 {
		n := copy(p, c.ready)
		c.ready = c.ready[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.rest)])
	c.rest -= n
	if err != nil && c.rest > 0 {
		return n, c.cut(err)
	}
	return n, err
}

// next waits for a request and validates it.
func (c *guardedConn) next() error {
	if c.served {
		_ = c.Conn.SetReadDeadline(time.Time{})
	}
	n, err := io.ReadAtLeast(c.Conn, c.header[:], 1)
	if err != nil {
		return err // a peer may close the connection between requests
	}
	_ = c.Conn.SetReadDeadline(time.Now().Add(frameTimeout))
	if _, err := io.ReadFull(c.Conn, c.header[n:]); err != nil {
		return c.cut(err)
	}
	h, err := parseHeader(c.header, c.guard.produceLimit)
	if err != nil {
		return c.refuse(err)
	}
	c.served = true
	c.ready, c.rest = c.header[:], h.size-(headerSize-sizeSize)
	if inspected(h.key) {
		return c.holdBack(h)
	}
	return nil
}

// holdBack reads a whole request, which is at most requestLimit long, and inspects
// it.
func (c *guardedConn) holdBack(h header) error {
	frame := make([]byte, headerSize+c.rest)
	copy(frame, c.header[:])
	if _, err := io.ReadFull(c.Conn, frame[headerSize:]); err != nil {
		return c.cut(err)
	}
	if err := inspect(h, frame); err != nil {
		return c.refuse(fmt.Errorf("%s: %w", kmsg.NameForKey(h.key.Int16()), err))
	}
	c.ready, c.rest = frame, 0
	return nil
}

// cut refuses a request that ended early.
func (c *guardedConn) cut(err error) error {
	return c.refuse(fmt.Errorf("request cut short: %w", err))
}

// refuse logs the reason and returns it as the error on which kfake closes the
// connection. kfake does not log it.
func (c *guardedConn) refuse(reason error) error {
	c.ready, c.rest = nil, 0
	if !errors.Is(reason, net.ErrClosed) { // the broker was closed
		c.guard.log.Warn("the broker closes a connection", "peer", c.RemoteAddr(), "reason", reason)
	}
	return reason
}

// Write returns an error if the peer does not read its response in time.
func (c *guardedConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *guardedConn) Close() error {
	c.closed.Do(func() { c.guard.open.Add(-1) })
	return c.Conn.Close()
}
