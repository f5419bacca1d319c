package door

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
)

// dial opens a connection, which is closed when the test ends.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// isAnswered sends a request on a connection and reports whether it is answered in
// time. An error other than the time ends the wait.
func isAnswered(conn net.Conn, within time.Duration) (bool, error) {
	_ = conn.SetDeadline(time.Now().Add(within))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK, err
}

func wantAnswer(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	if ok, err := isAnswered(conn, 10*time.Second); !ok {
		t.Fatalf("%s: not answered: %v", what, err)
	}
}

// TestConnectionLimit checks that a connection above the limit waits until another one
// is closed.
func TestConnectionLimit(t *testing.T) {
	for _, kind := range kinds {
		d := open(t, config(t, kind, "--"+kind.Name+"-max-connections=2", "--"+kind.Name+"-max-connections-per-address=9"), Options{}, nil)
		first, second, third := dial(t, d.addr()), dial(t, d.addr()), dial(t, d.addr())
		wantAnswer(t, kind.Name, first)
		wantAnswer(t, kind.Name, second)
		if ok, err := isAnswered(third, 100*time.Millisecond); ok || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the third connection is answered while two are open: %v, %v", kind.Name, ok, err)
		}
		_ = first.Close()
		_ = third.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := http.ReadResponse(bufio.NewReader(third), nil); err != nil {
			t.Errorf("%s: the third connection is not answered after another was closed: %v", kind.Name, err)
		}
	}
}

// TestConnectionsOfOneAddress checks that a connection above the limit of one address is
// closed at once, and that the place of a closed one is free again.
func TestConnectionsOfOneAddress(t *testing.T) {
	for _, kind := range kinds {
		d := open(t, config(t, kind, "--"+kind.Name+"-max-connections-per-address=2"), Options{}, nil)
		first, second := dial(t, d.addr()), dial(t, d.addr())
		wantAnswer(t, kind.Name, first)
		wantAnswer(t, kind.Name, second)
		if ok, err := isAnswered(dial(t, d.addr()), 10*time.Second); ok || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the third connection is answered: %v, %v, want it closed", kind.Name, ok, err)
		}
		if count(d, "too_many_connections") != 1 || !strings.Contains(d.log.String(), "too_many_connections") {
			t.Errorf("%s: %d refusals are counted, want 1; log = %s", kind.Name, count(d, "too_many_connections"), d.log)
		}
		_ = first.Close()
		wait.Until(t, 10*time.Second, "another connection is answered", func() bool {
			ok, _ := isAnswered(dial(t, d.addr()), time.Second)
			return ok
		})
	}
}

// All clients of a proxy have its address.
func TestTrustedProxiesHaveNoLimit(t *testing.T) {
	d := open(t, config(t, Ingest, "--ingest-max-connections-per-address=1"), Options{Proxies: proxies(t, "127.0.0.1")}, nil)
	for range 3 {
		wantAnswer(t, "connection of a proxy", dial(t, d.addr()))
	}
}

func TestClientOf(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64"} {
		if got := clientOf(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("clientOf(%s) = %s, want %s", addr, got, want)
		}
	}
}

func count(d opened, reason string) (n uint64) {
	d.Refused(func(of string, count uint64) {
		if of == reason {
			n = count
		}
	})
	return n
}

// Refusals are counted each, and logged once in a burst.
func TestRefusalsAreLoggedOnceInABurst(t *testing.T) {
	d := open(t, config(t, API), Options{}, nil)
	for range 20 {
		ask(t, plain, "GET", d.URL(), "Host", "evil.example")
	}
	if got := count(d, "host_not_allowed"); got != 20 {
		t.Errorf("counted %d refusals, want 20", got)
	}
	if got := strings.Count(d.log.String(), "reason=host_not_allowed"); got != 1 {
		t.Errorf("logged %d lines, want 1: %s", got, d.log)
	}
	if strings.Contains(d.log.String(), "evil") {
		t.Errorf("the log has what the request had: %s", d.log)
	}
}
