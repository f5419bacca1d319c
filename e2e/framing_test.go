package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
)

// framing is a row of the table of requests that break a rule of HTTP, or of its limits.
// The numbers are those of the table of bad inputs.
type framing struct {
	number  int
	name    string
	request string
	status  int
	code    string // of a refusal; none if net/http answers in plain text
	// closed means that the connection must be closed after one answer.
	closed bool
}

const bodyLimit = 256 << 10

// frames returns the rows. Every request has the good signature of an authentic webhook,
// so that it would be accepted but for its form.
func frames(order string, accepted int) []framing {
	number := 0
	// request returns a request of a fresh webhook.
	request := func(line, headers string, write func(body string) string) string {
		number++
		w := stripeScheme.webhook(fmt.Sprint("framing-", number), order, forgery{})
		line = strings.ReplaceAll(line, "PATH", w.path)
		return fmt.Sprintf("%s HTTP/1.1\r\nHost: localhost\r\nStripe-Signature: %s\r\n%s%s", line, w.header.Get("Stripe-Signature"), headers, write(w.body))
	}
	nothing := func(string) string { return "\r\n" }
	sized := func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }
	chunks := func(body string) string {
		return fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	empty := func(string) string { return "Content-Length: 0\r\n\r\n" }
	large := func(write func(string) string) func(string) string {
		return func(body string) string {
			return write(body + strings.Repeat(" ", bodyLimit+1-len(body)))
		}
	}
	const (
		post   = "POST PATH"
		asJSON = "Content-Type: application/json\r\n"
	)
	// A request that follows on the same connection, and that must not be taken for one.
	hidden := func(body string) string { return request(post, asJSON, sized) }
	rows := []framing{
		{1, "GET", request("GET PATH", "", nothing), 405, "method_not_allowed", false},
		{1, "PUT", request("PUT PATH", asJSON, sized), 405, "method_not_allowed", false},
		{2, "unknown source", request("POST /webhooks/paypal-eu", asJSON, sized), 404, "not_found", false},
		{2, "unknown path", request("POST /", asJSON, sized), 404, "not_found", false},
		{2, "path below a source", request("POST PATH/orders", asJSON, sized), 404, "not_found", false},
		{3, "path that climbs", request("POST /webhooks/..%2Finternal%2Fupdates%2Forders", asJSON, sized), 404, "not_found", false},
		{3, "two slashes", request("POST //internal/updates/orders", asJSON, sized), 404, "not_found", false},
		{3, "internal path", request("POST /internal/updates/orders", asJSON, sized), 404, "not_found", false},
		{4, "no body", request(post, asJSON, empty), 400, "empty_body", false},
		{5, "announced as too large", request(post, asJSON, func(string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n", bodyLimit+1) }), 413, "body_too_large", true},
		{5, "too large", request(post, asJSON, large(sized)), 413, "body_too_large", true},
		{6, "too large, chunked", request(post, asJSON, large(chunks)), 413, "body_too_large", true},
		{10, "17 KiB of headers", request(post, asJSON+"X-A: "+strings.Repeat("a", 17<<10)+"\r\n", sized), 431, "", true},
		{10, "1,000 headers", request(post, asJSON+strings.Repeat("X-A: a\r\n", 1000), sized), 431, "too_many_headers", false},
		{11, "two lengths", request(post, asJSON+"Content-Length: 5\r\n", sized), 400, "", true},
		{11, "a length and chunks", request(post, asJSON+"Content-Length: 5\r\n", chunks) + hidden(""), accepted, "", true},
		{11, "chunks that are not", request(post, asJSON+"Transfer-Encoding: chunked, identity\r\n", sized), 501, "", true},
		{13, "gzip", request(post, asJSON+"Content-Encoding: gzip\r\n", sized), 415, "unsupported_encoding", false},
		{13, "brotli", request(post, asJSON+"Content-Encoding: br\r\n", sized), 415, "unsupported_encoding", false},
		{13, "zstd", request(post, asJSON+"Content-Encoding: zstd\r\n", sized), 415, "unsupported_encoding", false},
		{15, "XML", request(post, "Content-Type: application/xml\r\n", sized), 415, "unsupported_media_type", false},
		{15, "form", request(post, "Content-Type: application/x-www-form-urlencoded\r\n", sized), 415, "unsupported_media_type", false},
		{15, "multipart", request(post, "Content-Type: multipart/form-data; boundary=x\r\n", sized), 415, "unsupported_media_type", false},
		// The contract takes a body without a type for JSON: there is no setting of a source.
		{15, "no type", request(post, "", sized), accepted, "", false},
		{16, "UTF-16", request(post, "Content-Type: application/json; charset=utf-16\r\n", sized), 415, "unsupported_media_type", false},
		{21, "absolute target", request("POST http://127.0.0.1:9PATH", asJSON, sized), accepted, "", false},
		// A name that is not one of the listener is refused since it may be a web page's own.
		{21, "absolute target, odd host", request("POST http://odd.examplePATH", asJSON, sized), 421, "host_not_allowed", false},
		{21, "odd host", strings.Replace(request(post, asJSON, sized), "Host: localhost", "Host: odd.example", 1), 421, "host_not_allowed", false},
		{21, "two hosts", request(post, asJSON+"Host: odd.example\r\n", sized), 400, "", true},
	}
	return rows
}

// dialogue sends bytes on a connection of their own, and returns the answers until the
// connection is closed, or until the first if the server keeps it open.
func dialogue(t *testing.T, url, sent string, untilClosed bool) []reply {
	t.Helper()
	conn := dialIngest(t, url, "127.0.0.1")
	go func() { _, _ = io.WriteString(conn, sent) }() // the answer may come before the end
	var answers []reply
	for from := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(from, nil)
		if err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Errorf("the connection was not closed within %s after %.80q", answerWithin, sent)
			}
			return answers
		}
		body, _ := io.ReadAll(resp.Body) // a server that stops reading resets the connection after its answer
		answers = append(answers, reply{resp.StatusCode, resp.Header, body})
		if !untilClosed {
			return answers
		}
	}
}

// dialIngest connects from an address of this machine.
func dialIngest(t *testing.T, url, from string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", strings.TrimPrefix(url, "http://"))
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(answerWithin)) // reading fails if this did
	return conn
}

const maxConnections = 300

// TestFraming: a request that breaks a rule of HTTP or a limit is refused and leaves no
// trace, and connections that send slowly, or nothing, do not last.
func TestFraming(t *testing.T) {
	inEvery(t, isSmall, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: []string{"--sources", writeSources(t),
			"--ingest-timeout", "2s", "--api-timeout", "1s", "--ingest-max-connections", fmt.Sprint(maxConnections)}})
		t.Run("rows", func(t *testing.T) {
			for name, test := range map[string]func(*testing.T, *cluster){
				"requests": testFrames, "slow headers": testSlowHeaders, "slow body": testSlowBody,
				"HTTP/2": testHTTP2, "idle connections": testIdleConnections,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, c)
				})
			}
		})
	})
}

func testFrames(t *testing.T, c *cluster) {
	good := 0
	for _, row := range frames("framing", c.accepted()) {
		answers := dialogue(t, c.url("ingest"), row.request, row.closed)
		if len(answers) != 1 {
			t.Errorf("row %d: %s: %d answers, want 1: %v", row.number, row.name, len(answers), answers)
			continue
		}
		if row.status == c.accepted() {
			good++
		}
		answer := answers[0]
		if answer.status != row.status || row.status >= 400 && answer.code() != row.code {
			t.Errorf("row %d: %s: answered %s, want %d %s", row.number, row.name, answer, row.status, row.code)
		}
		if allow := answer.header.Get("Allow"); (allow == http.MethodPost) != (answer.status == 405) {
			t.Errorf("row %d: %s: Allow is %q", row.number, row.name, allow)
		}
		if seen := fmt.Sprint(answer.header, answer); strings.Contains(seen, "odd.example") {
			t.Errorf("row %d: %s: the answer repeats the host: %s", row.number, row.name, seen)
		}
	}
	c.wantOnce(t, stripeScheme, "after-framing")
	var events []eventItem
	wait.Until(t, appliedWithin, "what is authentic is recorded", func() bool {
		events = c.history(t, "framing")
		return len(events) >= good
	})
	if len(events) != good {
		t.Errorf("%d events are recorded, want the %d that were accepted: %+v", len(events), good, events)
	}
}

// trickle writes one byte in a second, until the other side closes the connection.
func trickle(conn net.Conn, bytes string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := range len(bytes) {
		if _, err := conn.Write([]byte(bytes[i : i+1])); err != nil {
			return
		}
		<-tick.C
	}
}

// closesWithin reads until the connection is closed, and returns what came.
func closesWithin(t *testing.T, conn net.Conn, row int, least, most time.Duration) string {
	t.Helper()
	begin := time.Now()
	answer, err := io.ReadAll(conn)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Errorf("row %d: the connection is still open after %s", row, answerWithin)
	}
	if took := time.Since(begin); took < least || took > most {
		t.Errorf("row %d: the connection was closed after %s, want %s to %s", row, took.Round(time.Millisecond), least, most)
	}
	return string(answer)
}

// slack is the time by which a busy machine may be late.
const slack = 8 * time.Second

// testSlowHeaders is row 8.
func testSlowHeaders(t *testing.T, c *cluster) {
	conn := dialIngest(t, c.url("ingest"), "127.0.0.1")
	go trickle(conn, "POST "+stripeScheme.path+" HTTP/1.1\r\nHost: localhost\r\n")
	if answer := closesWithin(t, conn, 8, 4*time.Second, 5*time.Second+slack); strings.Contains(answer, " 20") {
		t.Errorf("row 8: headers that did not end are answered %s", answer)
	}
}

// testSlowBody is row 9. The limit is that of --ingest-timeout, which is 12 seconds by
// default and is 2 here.
func testSlowBody(t *testing.T, c *cluster) {
	conn := dialIngest(t, c.url("ingest"), "127.0.0.1")
	w := stripeScheme.webhook("slow-body", "slow-body", forgery{})
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nStripe-Signature: %s\r\nContent-Length: %d\r\n\r\n",
		w.path, w.header.Get("Stripe-Signature"), len(w.body))
	check(t, err)
	go trickle(conn, w.body)
	if answer := closesWithin(t, conn, 9, time.Second, 2*time.Second+slack); !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.Contains(answer, "body_incomplete") {
		t.Errorf("row 9: a body that did not arrive is answered %s, want 503 body_incomplete", answer)
	}
}

// testHTTP2 is row 18. The listener does not speak HTTP/2, so that there are no streams
// that could be opened and reset.
func testHTTP2(t *testing.T, c *cluster) {
	var sent bytes.Buffer
	sent.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	sent.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // SETTINGS
	for stream := uint32(1); stream < 20_000; stream += 2 {
		id := []byte{byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}
		sent.Write(append([]byte{0, 0, 1, 1, 5}, append(id, 0x83)...))       // HEADERS: POST
		sent.Write(append([]byte{0, 0, 4, 3, 0}, append(id, 0, 0, 0, 8)...)) // RST_STREAM
	}
	conn := dialIngest(t, c.url("ingest"), "127.0.0.1")
	go func() { _, _ = conn.Write(sent.Bytes()) }() // it fails when the connection is closed
	if answer := closesWithin(t, conn, 18, 0, slack); answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 5") {
		t.Errorf("row 18: HTTP/2 is answered %q, want a refusal in HTTP/1.1", answer)
	}
}

// testIdleConnections is row 19: one address gets four fifths of the connections, and
// others are served. With the limits of production it is measured in docs/benchmarks.md.
func testIdleConnections(t *testing.T, c *cluster) {
	open := 0
	for range maxConnections {
		conn := dialIngest(t, c.url("ingest"), "127.0.0.4")
		_, _ = io.WriteString(conn, "GET "+stripeScheme.path+" HTTP/1.1\r\nHost: localhost\r\n\r\n") // reading fails too
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && resp.StatusCode == 405 {
			open++
		}
	}
	if open != maxConnections*4/5 {
		t.Errorf("row 19: one address has %d connections open, want %d", open, maxConnections*4/5)
	}
	begin := time.Now()
	if answer := c.sendSigned(t, clientAt("127.0.0.5"), stripeScheme.webhook("beside-idle", "beside-idle", forgery{})); answer.status != c.accepted() {
		t.Errorf("row 19: a webhook beside them is answered %s, want %d", answer, c.accepted())
	}
	t.Logf("a webhook beside %d idle connections took %s", open, time.Since(begin).Round(time.Millisecond))
}
