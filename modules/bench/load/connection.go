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

// maxAnswerBytes is larger than any response of the ingest role.
const maxAnswerBytes = 64 << 10

// Target is the ingest listener that webhooks are sent to.
type Target struct {
	host string
	tls  bool
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// NewTarget returns the ingest listener at an http or https URL.
func NewTarget(address string) (Target, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || (u.Path != "" && u.Path != "/") {
		return Target{}, errors.New("target is not a URL of an ingest listener: write http://host:port")
	}
	t := Target{host: u.Host, tls: u.Scheme == "https", dial: (&net.Dialer{Timeout: 3 * time.Second}).DialContext}
	if u.Port() == "" {
		t.host = net.JoinHostPort(u.Hostname(), u.Scheme) // "http" and "https" are also names of ports
	}
	return t, nil
}

// connection is a keep-alive HTTP/1.1 connection that sends one webhook at a time.
// It is written by hand because the sender shares the processors with what it
// measures, and an http.Client uses three times as much processor time. net/http
// still parses the responses.
type connection struct {
	target  Target
	timeout time.Duration
	reader  *bufio.Reader
	request []byte
	answer  []byte

	mu          sync.Mutex // guards conn and interrupted, which interrupt uses
	conn        net.Conn
	interrupted bool
}

func newConnection(t Target, timeout time.Duration) *connection {
	return &connection{target: t, timeout: timeout, reader: bufio.NewReader(nil), answer: make([]byte, 0, 512)}
}

// send posts a webhook and returns the time at which the connection was ready for
// it. It returns an error unless the answer is 2xx.
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
		host, _, _ := net.SplitHostPort(c.target.host) // NewTarget ensures that there is a port
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

// interrupt aborts the webhook in flight and prevents further ones. It may be called
// from any goroutine.
func (c *connection) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	if c.conn != nil {
		_ = c.conn.SetDeadline(time.Unix(1, 0)) // fails only on a closed connection
	}
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close() // nothing more is written
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
		var reason struct{ Error struct{ Code string } }
		_ = json.Unmarshal(c.answer, &reason) // the response of a proxy has no code
		return refusal{answer.StatusCode, reason.Error.Code}
	}
	return nil
}

// refusal is a response that is not 2xx. The connection can be used again.
type refusal struct {
	status int
	code   string
}

func (r refusal) Error() string {
	if r.code == "" {
		return strconv.Itoa(r.status)
	}
	return fmt.Sprintf("%d %s", r.status, r.code)
}

// kindOf returns the kind that an error is counted under. There are few kinds.
func kindOf(err error) string {
	if r, ok := errors.AsType[refusal](err); ok {
		return r.Error()
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
