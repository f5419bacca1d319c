package ingest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// dial opens a connection for requests that no HTTP client would send.
func dial(t *testing.T, s *running) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// send writes a raw request and returns the answer with an unread body.
func send(t *testing.T, conn net.Conn, request string) *http.Response {
	t.Helper()
	go func() { _, _ = io.WriteString(conn, request) }() // the server may answer and close before the end
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: strings.Fields(request)[0]})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// raw returns a POST request with further header lines, each of which ends in CRLF.
func raw(target, headers, body string) string {
	return "POST " + target + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + body
}

func sized(headers, body string) string {
	return raw(ordersPath, fmt.Sprintf("%sContent-Length: %d\r\n", headers, len(body)), body)
}

func TestRouting(t *testing.T) {
	next := &recorder{}
	s := start(t, next)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(order()))
	for request, want := range map[string]string{
		raw("/webhooks/..%2Finternal%2Fevents", length, order()):        "not_found",
		raw("/webhooks%2Fpayments%2Forders", length, order()):           "not_found",
		raw("/webhooks/payments/%6Frders", length, order()):             "not_found",
		raw("//internal", length, order()):                              "not_found",
		raw("/internal/updates/orders", length, order()):                "not_found",
		raw("/payrelay.v1.RelayService/ApplyUpdate", length, order()):   "not_found",
		raw("/", length, order()):                                       "not_found",
		raw(ordersPath+"/", length, order()):                            "not_found",
		raw("//webhooks/payments/orders", length, order()):              "not_found",
		raw("/webhooks/payments/../payments/orders", length, order()):   "not_found",
		raw(strings.ToUpper(ordersPath), length, order()):               "not_found",
		raw("http://evil.example/internal", length, order()):            "not_found",
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n":                         "not_found",
		"GET " + ordersPath + " HTTP/1.1\r\nHost: h\r\n\r\n":            "method_not_allowed",
		"PUT " + disputesPath + " HTTP/1.1\r\nHost: h\r\n\r\n":          "method_not_allowed",
		"OPTIONS " + ordersPath + " HTTP/1.1\r\nHost: h\r\n\r\n":        "method_not_allowed",
		"NONSENSE " + disputesPath + " HTTP/1.1\r\nHost: h\r\n\r\n":     "method_not_allowed",
		"GET " + ordersPath + "?_method=POST HTTP/1.0\r\n\r\n":          "method_not_allowed",
		"DELETE http://h" + ordersPath + " HTTP/1.1\r\nHost: h\r\n\r\n": "method_not_allowed",
	} {
		got := read(t, send(t, dial(t, s), request))
		status := map[string]int{"not_found": 404, "method_not_allowed": 405}[want]
		wantRefusal(t, got, status, want)
		if allow := got.header.Get("Allow"); (allow == "POST") != (status == 405) {
			t.Errorf("Allow of the answer %d to %q = %q", got.status, request, allow)
		}
	}
	if next.count() != 0 {
		t.Error("a refused request was applied")
	}
	head := send(t, dial(t, s), "HEAD "+ordersPath+" HTTP/1.1\r\nHost: h\r\n\r\n")
	if head.StatusCode != http.StatusMethodNotAllowed || head.Header.Get("Allow") != "POST" {
		t.Errorf("HEAD = %s, %v, want 405 with Allow: POST", head.Status, head.Header)
	}
}

// TestAbsoluteTarget checks that the host of the target and the Host header have no
// effect and do not appear in the answer.
func TestAbsoluteTarget(t *testing.T) {
	next := &recorder{}
	s := start(t, next)
	request := fmt.Sprintf("POST http://evil.example%s HTTP/1.1\r\nHost: evil.example:99\r\nContent-Length: %d\r\n\r\n%s", ordersPath, len(order()), order())
	got := read(t, send(t, dial(t, s), request))
	if got.status != http.StatusOK || strings.Contains(fmt.Sprint(got.header)+string(got.raw), "evil") {
		t.Errorf("answer = %d %v %s, want 200 without the host", got.status, got.header, got.raw)
	}
	next.only(t)
}

func TestContentHeaders(t *testing.T) {
	for headers, code := range map[string]string{
		"":                                   "",
		"Content-Type: application/json\r\n": "",
		"content-type: Application/JSON;charset=\"UTF-8\"\r\n":                   "",
		"Content-Type: application/json; charset=utf-8\r\n":                      "",
		"Content-Encoding: identity\r\n":                                         "",
		"Content-Encoding: \r\n":                                                 "",
		"Content-Type: application/json; charset=utf8\r\n":                       "",
		"Content-Type: application/json; charset=\"utf8\"\r\n":                   "",
		"Content-Type: application/json; charset='utf-8'\r\n":                    "unsupported_media_type",
		"Content-Type: application/json; charset=US-ASCII\r\n":                   "",
		"Content-Type: application/xml\r\n":                                      "unsupported_media_type",
		"Content-Type: application/x-www-form-urlencoded\r\n":                    "unsupported_media_type",
		"Content-Type: multipart/form-data; boundary=x\r\n":                      "unsupported_media_type",
		"Content-Type: text/plain\r\n":                                           "unsupported_media_type",
		"Content-Type: application/json; charset=utf-16\r\n":                     "unsupported_media_type",
		"Content-Type: application/json; charset=\r\n":                           "unsupported_media_type",
		"Content-Type: \r\n":                                                     "unsupported_media_type",
		"Content-Type: ;;;\r\n":                                                  "unsupported_media_type",
		"Content-Type: application/json\r\nContent-Type: application/json\r\n":   "unsupported_media_type",
		"Content-Encoding: gzip\r\n":                                             "unsupported_encoding",
		"Content-Encoding: br\r\n":                                               "unsupported_encoding",
		"Content-Encoding: zstd\r\nContent-Type: application/json\r\n":           "unsupported_encoding",
		"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n":               "unsupported_encoding",
		"Content-Encoding: gzip, identity\r\nContent-Type: application/json\r\n": "unsupported_encoding",
	} {
		t.Run(headers, func(t *testing.T) {
			next := &recorder{}
			got := read(t, send(t, dial(t, start(t, next)), sized(headers, order())))
			if code == "" {
				if got.status != http.StatusOK {
					t.Errorf("answer = %d %s, want 200", got.status, got.raw)
				}
				next.only(t)
				return
			}
			wantRefusal(t, got, http.StatusUnsupportedMediaType, code)
			if next.count() != 0 {
				t.Error("a refused webhook was applied")
			}
		})
	}
}

func TestBodySize(t *testing.T) {
	const limit = 256 << 10
	fill := func(size int) string {
		empty := order("x", `""`)
		return strings.TrimSuffix(empty, `"}`) + strings.Repeat("a", size-len(empty)) + `"}`
	}
	chunked := func(body string) string {
		return raw(ordersPath, "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body))
	}
	for _, c := range []struct {
		name, request string
		status        int
		code          string
	}{
		{"at the limit", sized("", fill(limit)), 200, ""},
		{"at the limit, chunked", chunked(fill(limit)), 200, ""},
		{"over the limit", sized("", fill(limit+1)), 413, "body_too_large"},
		{"over the limit, chunked", chunked(fill(limit + 1)), 413, "body_too_large"},
		{"announced, not sent", raw(ordersPath, "Content-Length: 9223372036854775807\r\n", ""), 413, "body_too_large"},
		{"asks before it sends", raw(ordersPath, "Expect: 100-continue\r\nContent-Length: 300000\r\n", ""), 413, "body_too_large"},
		{"endless chunk", raw(ordersPath, "Transfer-Encoding: chunked\r\n", "7fffffff\r\n"+fill(limit+1)), 413, "body_too_large"},
		{"no body", raw(ordersPath, "Content-Length: 0\r\n", ""), 400, "empty_body"},
		{"neither length nor body", raw(ordersPath, "", ""), 400, "empty_body"},
		{"no body, chunked", raw(ordersPath, "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, "empty_body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			next := &recorder{}
			conn := dial(t, start(t, next))
			resp := send(t, conn, c.request)
			got := read(t, resp)
			if c.status == 200 {
				if got.status != 200 || next.count() != 1 {
					t.Fatalf("answer = %d %s after %d calls of Apply, want 200 after 1", got.status, got.raw, next.count())
				}
				return
			}
			wantRefusal(t, got, c.status, c.code)
			if next.count() != 0 {
				t.Error("a refused webhook was applied")
			}
			if c.status == 413 && !resp.Close {
				t.Error("the connection stays open after 413")
			}
		})
	}
}

// TestHeaderLimits checks the status only: net/http refuses some of these requests
// itself, in plain text.
func TestHeaderLimits(t *testing.T) {
	for _, c := range []struct {
		name, headers string
		status        int
	}{
		{"15 KiB", "X-A: " + strings.Repeat("a", 15<<10) + "\r\n", 200},
		{"17 KiB", "X-A: " + strings.Repeat("a", 17<<10) + "\r\n", 431},
		{"17 KiB of fields", strings.Repeat("X-A: "+strings.Repeat("a", 1<<10)+"\r\n", 17), 431},
		{"99 more fields", strings.Repeat("X-A: a\r\n", 99), 200}, // and Content-Length
		{"100 more fields", strings.Repeat("X-A: a\r\n", 100), 431},
		{"1000 fields", strings.Repeat("X-A: a\r\n", 1000), 431},
		{"two lengths", "Content-Length: 5\r\n", 400},
		{"field name with a space", "X A: a\r\n", 400},
		{"raw control character", "X-A: \x01\r\n", 400},
		{"unknown transfer encoding", "Transfer-Encoding: gzip\r\n", 501},
	} {
		t.Run(c.name, func(t *testing.T) {
			next := &recorder{}
			resp := send(t, dial(t, start(t, next)), sized(c.headers, order()))
			if resp.StatusCode != c.status {
				t.Errorf("status = %s, want %d", resp.Status, c.status)
			}
			if applied := c.status == 200; (next.count() == 1) != applied {
				t.Errorf("Apply was called %d times for an answer %d", next.count(), c.status)
			}
		})
	}
}

func TestOnlyHTTP1(t *testing.T) {
	next := &recorder{}
	s := start(t, next)
	conn := dial(t, s)
	_, _ = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	got, _ := io.ReadAll(conn) // ends when the server closes the connection
	if !strings.HasPrefix(string(got), "HTTP/1.1 ") {
		t.Errorf("answer = %q, want HTTP/1.1", got)
	}
}

// quick returns timeouts that a test can wait for.
func quick() timeouts {
	return timeouts{
		readHeader: 150 * time.Millisecond, write: 5 * time.Second, idle: 5 * time.Second, drain: 5 * time.Second,
	}
}

// TestSlowHeaders checks that senders that never complete their headers are cut off,
// and do not delay others until then.
func TestSlowHeaders(t *testing.T) {
	next := &recorder{}
	s := serve(t, testConfig(), next, quick(), io.Discard)
	var slow []net.Conn
	for range 200 {
		conn := dial(t, s)
		_, _ = io.WriteString(conn, "POST "+ordersPath+" HTTP/1.1\r\nHost: h\r\nX-A: ")
		slow = append(slow, conn)
	}
	if got := read(t, send(t, dial(t, s), sized("", order()))); got.status != http.StatusOK {
		t.Errorf("answer to a valid webhook = %d %s, want 200", got.status, got.raw)
	}
	for _, conn := range slow {
		if _, err := io.ReadAll(conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatal("a slow connection is still open")
		}
	}
	next.only(t)
}

func TestSlowBody(t *testing.T) {
	for _, length := range []string{"Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"} {
		next := &recorder{}
		cfg := testConfig()
		cfg.Timeout = 300 * time.Millisecond
		s := serve(t, cfg, next, quick(), io.Discard)
		resp := send(t, dial(t, s), raw(ordersPath, length, "3e8\r\n"+order()[:20]))
		got := read(t, resp)
		wantRefusal(t, got, http.StatusServiceUnavailable, "body_incomplete")
		if !resp.Close || next.count() != 0 {
			t.Errorf("%s: Connection: close = %t, want true; Apply was called %d times, want 0", length, resp.Close, next.count())
		}
	}
}

// TestCutBody checks that a body that ends early is not applied, even if what arrived
// is valid JSON.
func TestCutBody(t *testing.T) {
	next := &recorder{}
	s := start(t, next)
	conn := dial(t, s)
	_, _ = io.WriteString(conn, raw(ordersPath, "Content-Length: 1000\r\n", order()))
	_ = conn.(*net.TCPConn).CloseWrite()
	got, _ := io.ReadAll(conn)
	if strings.HasPrefix(string(got), "HTTP/1.1 2") || next.count() != 0 {
		t.Errorf("answer = %q after %d calls of Apply, want none", got, next.count())
	}
}
