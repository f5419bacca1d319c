package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// maxAnswerBytes is above every answer of the ingest role.
const maxAnswerBytes = 64 << 10

// Target is where webhooks go.
type Target struct {
	host string
	tls  bool
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// NewTarget is the ingest listener at a URL, http or https.
func NewTarget(address string) (Target, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || (u.Path != "" && u.Path != "/") {
		return Target{}, errors.New("target cannot be called: write it as http://host:port, the ingest listener of a deployment")
	}
	t := Target{host: u.Host, tls: u.Scheme == "https", dial: (&net.Dialer{Timeout: 3 * time.Second}).DialContext}
	if u.Port() == "" {
		t.host = net.JoinHostPort(u.Hostname(), u.Scheme) // the names of the schemes are those of their ports
	}
	return t, nil
}

// connection sends one webhook after the other, with keep-alive. It exists
// because the sender shares the processors with what it measures: an http.Client
// costs three times as much. The answer is still read by net/http.
type connection struct {
	target  Target
	timeout time.Duration
	reader  *bufio.Reader
	request []byte
	answer  []byte

	mu          sync.Mutex // guards what interrupt needs
	conn        net.Conn
	interrupted bool
}

func newConnection(t Target, timeout time.Duration) *connection {
	return &connection{target: t, timeout: timeout, reader: bufio.NewReader(nil), answer: make([]byte, 0, 512)}
}

// send posts a webhook; no error means that it was answered 2xx. It was sent when
// the connection was there.
func (c *connection) send(ctx context.Context, w *Webhook) (sent time.Time, err error) {
	deadline := time.Now().Add(c.timeout)
	err = c.connect(ctx, deadline)
	sent = time.Now()
	if err == nil {
		err = c.exchange(w)
	}
	if _, answered := errors.AsType[refusal](err); err != nil && !answered {
		c.close()
	}
	return sent, err
}

func (c *connection) connect(ctx context.Context, deadline time.Time) error {
	if c.conn != nil {
		return c.setDeadline(deadline)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := c.target.dial(ctx, "tcp", c.target.host)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if c.target.tls {
		host, _, _ := net.SplitHostPort(c.target.host) // NewTarget made it one
		conn = tls.Client(conn, &tls.Config{ServerName: host, NextProtos: []string{"http/1.1"}})
	}
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	c.reader.Reset(conn)
	return c.setDeadline(deadline)
}

func (c *connection) setDeadline(deadline time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted {
		return context.Canceled
	}
	return c.conn.SetDeadline(deadline)
}

// interrupt ends what is under way and lets nothing new begin. It may be called
// at any time.
func (c *connection) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	if c.conn != nil {
		_ = c.conn.SetDeadline(time.Unix(1, 0)) // it fails where there is nothing to end
	}
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close() // it is given up
		c.conn = nil
	}
}

func (c *connection) exchange(w *Webhook) error {
	c.request = append(c.request[:0], "POST "...)
	c.request = append(c.request, w.Path()...)
	c.request = append(c.request, " HTTP/1.1\r\nHost: "...)
	c.request = append(c.request, c.target.host...)
	c.request = append(c.request, "\r\nUser-Agent: payrelay-bench\r\nContent-Type: application/json\r\nContent-Length: "...)
	c.request = strconv.AppendInt(c.request, int64(len(w.Body)), 10)
	c.request = append(c.request, "\r\n\r\n"...)
	c.request = append(c.request, w.Body...)
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	return c.readAnswer()
}

func (c *connection) readAnswer() error {
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	body := io.LimitedReader{R: answer.Body, N: maxAnswerBytes}
	c.answer = c.answer[:0]
	for {
		n, err := body.Read(c.answer[len(c.answer):cap(c.answer)])
		c.answer = c.answer[:len(c.answer)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if len(c.answer) == cap(c.answer) {
			c.answer = append(c.answer, 0)[:len(c.answer)]
		}
	}
	if answer.Close {
		c.close()
	}
	if answer.StatusCode/100 != 2 {
		return refused(answer.StatusCode, c.answer)
	}
	return nil
}

// refusal is an answer that is not 2xx. The connection can be used again.
type refusal struct {
	status int
	code   string
}

func (r refusal) Error() string { return kindOf(r) }

func refused(status int, body []byte) refusal {
	var answer struct{ Error struct{ Code string } }
	_ = json.Unmarshal(body, &answer) // a proxy's answer has no code
	return refusal{status, answer.Error.Code}
}

// kindOf is what errors are counted by: few, and the same at each occurrence.
func kindOf(err error) string {
	if r, ok := errors.AsType[refusal](err); ok {
		if r.code == "" {
			return strconv.Itoa(r.status)
		}
		return fmt.Sprintf("%d %s", r.status, r.code)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection lost"
	default:
		return "network error"
	}
}
