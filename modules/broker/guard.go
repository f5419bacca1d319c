package broker

import (
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
	// helloTimeout bounds the wait for a new connection's first request. After
	// it a connection may idle: on loopback the kernel tells when a peer is gone.
	helloTimeout = 10 * time.Second
	frameTimeout = 30 * time.Second // from a request's first byte to its last
	writeTimeout = 30 * time.Second
	acceptDelay  = 50 * time.Millisecond
)

// guard is a listener whose connections pass on checked requests only. kfake
// allocates whatever size a frame claims and dies of many malformed requests,
// on goroutines of its own, where nobody else can recover.
type guard struct {
	net.Listener
	produceLimit int
	log          *slog.Logger
	open         atomic.Int64
}

func newGuard(ln net.Listener, produceLimit int, log *slog.Logger) *guard {
	return &guard{Listener: ln, produceLimit: produceLimit, log: log}
}

// Accept returns the next connection, or an error once the listener is closed.
// It rides out all other errors, such as too many open files: kfake would stop
// listening for good.
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

// guardedConn checks each request before any of its bytes can be read. One
// goroutine at a time may read.
type guardedConn struct {
	net.Conn
	guard  *guard
	header [headerSize]byte
	ready  []byte // checked bytes that nobody has read yet
	rest   int    // bytes of the current request behind ready
	served bool   // a request has come before
	closed sync.Once
}

// Read returns bytes of a request that has passed the check. Bodies stream
// through; only the few requests that inspect looks into are held back whole.
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

// next waits for a request and checks it.
func (c *guardedConn) next() error {
	if c.served {
		_ = c.Conn.SetReadDeadline(time.Time{})
	}
	n, err := io.ReadAtLeast(c.Conn, c.header[:], 1)
	if err != nil {
		return err // between requests a peer may leave
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

// holdBack reads a whole request, which requestLimit keeps small, and looks
// into it.
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

// cut reports a request that ended early.
func (c *guardedConn) cut(err error) error {
	return c.refuse(fmt.Errorf("request cut short: %w", err))
}

// refuse logs why the connection ends. kfake closes it on any error and keeps
// the reason to itself.
func (c *guardedConn) refuse(reason error) error {
	c.ready, c.rest = nil, 0
	if !errors.Is(reason, net.ErrClosed) { // closing the broker is no news
		c.guard.log.Warn("the broker closes a connection", "peer", c.RemoteAddr(), "reason", reason)
	}
	return reason
}

// Write fails when the peer does not take its response in time.
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
