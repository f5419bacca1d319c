package postgres_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// A batch takes one round trip to read and one to write, whatever its content and size.
func TestABatchTakesTwoRoundTrips(t *testing.T) {
	databaseURL, _ := migrated(t)
	between := startCounter(t, parseURL(t, databaseURL).Host)
	u := parseURL(t, withParameters(t, databaseURL, url.Values{"sslmode": {"disable"}, "pool_max_conns": {"1"}}))
	u.Host = between.Addr().String()
	store, next := open(t, u.String()), 0
	apply := func(size int) {
		numbers := make([]int, size)
		for i := range numbers {
			numbers[i] = next
			next++
		}
		applyBusy(t, store, numbers)
	}
	for _, size := range []int{1, 2, 30, 300} {
		for range 30 { // until every statement is prepared
			apply(size)
		}
		before := between.waits.Load()
		apply(size)
		if got := between.waits.Load() - before; got != 2 {
			t.Errorf("got %d round trips for a batch of %d, want 2", got, size)
		}
	}
}

// counter is a proxy that counts how often the client asks for an answer and waits.
type counter struct {
	net.Listener
	server string
	waits  atomic.Int64
}

func startCounter(t *testing.T, server string) *counter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{Listener: listener, server: server}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { c.serve(client) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return c
}

func (c *counter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	var answering sync.WaitGroup
	answering.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
	err = forward(client, server, 0) // the startup message has no type
	for err == nil {
		var kind [1]byte
		if _, err = io.ReadFull(client, kind[:]); err != nil {
			break
		}
		if kind[0] == 'S' { // Sync
			c.waits.Add(1)
		}
		err = forward(client, server, kind[0])
	}
	_ = server.Close()
	answering.Wait()
}

var errTooLong = errors.New("a message cannot have this length")

// forward forwards one message: its type, if it has one, its length and its body.
func forward(from io.Reader, to io.Writer, kind byte) error {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size < 4 || size > 64<<20 {
		return errTooLong
	}
	message := make([]byte, 0, size+1)
	if kind != 0 {
		message = append(message, kind)
	}
	message = append(message, length[:]...)
	body := message[len(message) : len(message)+int(size)-4]
	if _, err := io.ReadFull(from, body); err != nil {
		return err
	}
	_, err := to.Write(message[:len(message)+len(body)])
	return err
}
