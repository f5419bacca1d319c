package broker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// scripted is a connection that reads from memory.
type scripted struct {
	net.Conn
	in *bytes.Reader
}

func (s *scripted) Read(p []byte) (int, error)      { return s.in.Read(p) }
func (s *scripted) SetReadDeadline(time.Time) error { return nil }
func (s *scripted) RemoteAddr() net.Addr            { return &net.TCPAddr{} }
func (s *scripted) Close() error                    { return nil }

// fakeListener accepts the connections that the test sends; nil is an error.
type fakeListener struct {
	net.Listener
	conns chan net.Conn
}

func (f fakeListener) Accept() (net.Conn, error) {
	conn, ok := <-f.conns
	switch {
	case !ok:
		return nil, net.ErrClosed
	case conn == nil:
		return nil, errors.New("too many open files")
	}
	return conn, nil
}

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
	client, err := net.Dial("tcp", g.Addr().String()) // connects first and has to wait
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
		t.Errorf("the closed gate accepted %v, want the connection of dial", conn.RemoteAddr())
	}
	g.open()
	if conn := <-accepted; conn == nil || conn.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("the open gate accepted %v, want the client", conn)
	}
	if _, err := g.dial(context.Background(), "", ""); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial() with the gate open = %v, want net.ErrClosed", err)
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
		t.Errorf("Accept() after Close = %v, want net.ErrClosed", err)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := listenGate(t).dial(ctx, "", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("dial() = %v, want context.Canceled", err)
	}
}

func TestAcceptContinuesAfterErrors(t *testing.T) {
	f := fakeListener{conns: make(chan net.Conn, 3)}
	g := newGuard(f, testLimit, discard)
	want := &scripted{}
	f.conns <- nil
	f.conns <- nil
	f.conns <- want
	conn, err := g.Accept()
	if err != nil || conn.(*guardedConn).Conn != net.Conn(want) {
		t.Fatalf("Accept() after two errors = %v, %v, want the connection", conn, err)
	}
	close(f.conns)
	if _, err := g.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept() on a closed listener = %v, want net.ErrClosed", err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	f := fakeListener{conns: make(chan net.Conn, maxConns+3)}
	g := newGuard(f, testLimit, discard)
	var open []net.Conn
	for range maxConns {
		f.conns <- &scripted{}
		conn, err := g.Accept()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	oneTooMany, refused := net.Pipe()
	f.conns <- refused
	close(f.conns)
	if _, err := g.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Accept() over the limit = %v, want net.ErrClosed when the listener closes", err)
	}
	if _, err := oneTooMany.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read on the connection over the limit = %v, want io.EOF", err)
	}
	_ = open[0].Close()
	_ = open[0].Close() // must count once
	if got := g.open.Load(); got != maxConns-1 {
		t.Errorf("open connections = %d after closing one of %d", got, maxConns)
	}
}

// accepted returns the two ends of a guarded connection.
func accepted(t *testing.T) (client, guarded net.Conn) {
	t.Helper()
	client, server := net.Pipe()
	f := fakeListener{conns: make(chan net.Conn, 1)}
	f.conns <- server
	guarded, err := newGuard(f, testLimit, discard).Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, guarded
}

func TestStallsEnd(t *testing.T) {
	frame := request(kmsg.NewPtrMetadataRequest(), 9)
	tests := map[string]struct {
		sent []byte
		read int // the bytes that pass
		want time.Duration
	}{
		"silent from the start": {nil, 0, helloTimeout},
		"inside the header":     {frame[:5], 0, frameTimeout},
		"inside the body":       {frame[:len(frame)-1], len(frame) - 1, frameTimeout},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, guarded := accepted(t)
				defer client.Close()
				go func() { _, _ = client.Write(tt.sent) }()
				began := time.Now()
				got, err := io.ReadAll(guarded)
				var timeout net.Error
				if !errors.As(err, &timeout) || !timeout.Timeout() || len(got) != tt.read {
					t.Errorf("read %d bytes, then %v, want %d and a timeout", len(got), err, tt.read)
				}
				if after := time.Since(began); after != tt.want {
					t.Errorf("ended after %v, want %v", after, tt.want)
				}
			})
		})
	}
}

func TestAServedConnectionMayBeIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, guarded := accepted(t)
		frame := request(kmsg.NewPtrMetadataRequest(), 9)
		go func() {
			defer client.Close()
			for range 2 {
				_, _ = client.Write(frame)
				time.Sleep(24 * time.Hour) // on the clock of synctest
			}
		}()
		got, err := io.ReadAll(guarded)
		if err != nil || len(got) != 2*len(frame) {
			t.Errorf("read %d bytes, then %v, want two requests of %d", len(got), err, len(frame))
		}
	})
}

func TestAPeerThatDoesNotReadIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, guarded := accepted(t)
		defer client.Close()
		began := time.Now()
		_, err := guarded.Write([]byte("response"))
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(began) != writeTimeout {
			t.Errorf("Write() = %v after %v, want a timeout after %v", err, time.Since(began), writeTimeout)
		}
	})
}

// TestTheBrokerSurvivesHostileRequests sends requests that end an unguarded kfake, and
// random bytes, to a real broker. If the guard passes one, the test process ends.
func TestTheBrokerSurvivesHostileRequests(t *testing.T) {
	var logged lines
	b := startLogging(t, slog.New(slog.NewTextHandler(&logged, nil)), t.TempDir(), "orders", "disputes")
	for name, tt := range hostile {
		if err := attack(b.Addr(), tt.frame); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !logged.contains(tt.reason) {
			t.Errorf("%s: the log lacks %q", name, tt.reason)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		noise := make([]byte, 1+random.IntN(300))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		if err := attack(b.Addr(), noise); err != nil {
			t.Fatalf("noise %x: %v", noise, err)
		}
	}
	produce(t, b.Addr(), "orders", 0, 3)
	wantValues(t, consume(t, b.Addr(), relayGroup, "orders", 3), 0)
}

// attack sends the bytes, closes its side of the connection and waits until the broker
// closes the other.
func attack(addr string, frame []byte) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	// The broker may close the connection during the write.
	_, _ = conn.Write(frame)
	_ = conn.(*net.TCPConn).CloseWrite()
	_, err = io.Copy(io.Discard, conn)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return nil
}

// lines is a log that can be searched while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

// BenchmarkGuard measures the cost of the guard per request. A request to the broker
// takes at least 100 µs.
func BenchmarkGuard(b *testing.B) {
	frame := request(kmsg.NewPtrMetadataRequest(), 9)
	buf := make([]byte, len(frame))
	in := bytes.NewReader(frame)
	conn := &guardedConn{Conn: &scripted{in: in}, guard: newGuard(nil, testLimit, discard)}
	for b.Loop() {
		in.Reset(frame)
		if _, err := io.ReadFull(conn, buf); err != nil {
			b.Fatal(err)
		}
	}
}
