package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
)

// doors has a request for each listener, which it answers 2xx if it comes from a
// program on this machine.
func doors(order string) map[string]struct{ path, body string } {
	return map[string]struct{ path, body string }{
		"ingest":   {ordersPath, orderWebhook(order, order, "created", 0, `"1.00"`, "USD").body},
		"internal": {"/internal/updates/orders", asJSON(order+"-internal", order+"-internal", anOrder)},
		"api":      {"/orders", ""},
		"admin":    {"/debug/pprof/cmdline", ""},
	}
}

// testWebPages: a page in a browser on this machine reaches no listener, neither by a
// name of its own that it points to loopback, nor by a request to another site.
func testWebPages(t *testing.T, c *cluster) {
	for name, to := range doors("web-page") {
		url := c.url(name)
		send := func(host, headers string) reply {
			method := "GET"
			if to.body != "" {
				method = "POST"
			}
			return exchange(t, url, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s",
				method, to.path, host, len(to.body), headers, to.body))
		}
		for _, host := range []string{"evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example"} {
			if got := send(host, ""); got.status != 421 || got.code() != "host_not_allowed" {
				t.Errorf("%s: Host %s is answered %s, want 421 host_not_allowed", name, host, got)
			}
		}
		for _, headers := range []string{
			"Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n", "Origin: https://evil.example\r\n", "Origin: null\r\n",
			"Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
		} {
			if got := send("localhost", headers); got.status != 403 || got.code() != "cross_origin" {
				t.Errorf("%s: %q is answered %s, want 403 cross_origin", name, headers, got)
			}
		}
		if name == "ingest" || name == "internal" {
			for _, order := range []string{"web-page", "web-page-internal"} {
				if events := c.history(t, order); len(events) != 0 {
					t.Errorf("%s: a web page recorded %+v", name, events)
				}
			}
		}
	}
	for member, p := range c.running {
		for path, headers := range map[string]string{"/debug/pprof/heap": "Host: evil.example", "/livez": "Host: evil.example:3003", "/metrics": "Host: localhost\r\nSec-Fetch-Site: cross-site"} {
			if got := exchange(t, p.URL("admin"), "GET "+path+" HTTP/1.1\r\n"+headers+"\r\n\r\n"); got.status != 421 && got.status != 403 {
				t.Errorf("admin of %s: GET %s with %s is answered %s, want a refusal", member, path, headers, got)
			}
		}
	}
	for name, to := range doors("program") {
		url := c.url(name)
		for _, host := range []string{"localhost", strings.TrimPrefix(url, "http://"), "[::1]:80"} {
			method := map[bool]string{true: "GET", false: "POST"}[to.body == ""]
			got := exchange(t, url, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
				method, to.path, host, len(to.body), to.body))
			if got.status/100 != 2 {
				t.Errorf("%s: Host %s is answered %s, want 2xx", name, host, got)
			}
		}
	}
}

// testSmuggling: what follows a request with Transfer-Encoding is not taken for a
// request, because the connection is closed.
func testSmuggling(t *testing.T, c *cluster) {
	hidden := orderWebhook("hidden", "hidden", "created", 0, `"1.00"`, "USD").body
	hidden = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", ordersPath, len(hidden), hidden)
	shown := orderWebhook("shown-chunked", "shown-chunked", "created", 0, `"1.00"`, "USD").body
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(shown), shown)
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%s",
		ordersPath, len(chunk)+len(hidden), chunk)
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url("ingest"), "http://"))
	check(t, err)
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(answerWithin)) // reading fails if this did
	_, err = io.WriteString(conn, request+hidden)
	check(t, err)
	// A server that closes a connection with unread bytes may reset it.
	answers, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(string(answers), "HTTP/1.1 20") || strings.Count(string(answers), "HTTP/1.1 ") != 1 {
		t.Errorf("answers = %q, %v, want one answer 2xx and the end of the connection", answers, err)
	}
	c.awaitHistory(t, "/orders/events", "shown-chunked", "shown-chunked created applied")
	if events := c.history(t, "hidden"); len(events) != 0 {
		t.Errorf("the request after the chunked one was taken: %+v", events)
	}
}

// TestSlowClientsAreCutOff: a client that sends its headers byte by byte keeps no
// connection, on any listener.
func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	all := launch(t, "all", nil, anyPorts(t.TempDir(), "--mode", "direct")...)
	var slow sync.WaitGroup
	for _, name := range []string{"ingest", "api", "internal", "admin"} {
		slow.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(all.URL(name), "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			begin := time.Now()
			_ = conn.SetDeadline(begin.Add(startWithin))
			go func() {
				_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ")
				for _, err := io.WriteString(conn, "a"); err == nil; _, err = io.WriteString(conn, "a") {
					wait.Pause(t.Context(), 100*time.Millisecond)
				}
			}()
			_, err = io.Copy(io.Discard, conn)
			if took := time.Since(begin); errors.Is(err, os.ErrDeadlineExceeded) || took > 15*time.Second {
				t.Errorf("%s: the connection ended after %s with %v, want about 5s", name, took, err)
			}
		})
	}
	slow.Wait()
}
