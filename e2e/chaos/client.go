package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// giveUpAfter is the provider's own patience with one answer: more than any
// deadline and fault together.
const giveUpAfter = 20 * time.Second

// Edge is where webhooks are sent to.
type Edge struct{ Name, URL string }

// client posts webhooks to the edges in turn, as a load balancer would.
type client struct {
	ledger *Ledger
	edges  []Edge
	next   atomic.Int64
	http   *http.Client
}

func newClient(ledger *Ledger, edges []Edge) *client {
	return &client{ledger: ledger, edges: edges, http: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 2 * senders, DisableCompression: true},
		Timeout:   giveUpAfter,
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// post makes one attempt, and notes it before and after.
func (c *client) post(ctx context.Context, w *Webhook) Attempt {
	to := c.edges[int(c.next.Add(1))%len(c.edges)]
	a := c.ledger.Sends(w, to.Name)
	a.From = c.ledger.Now()
	c.exchange(ctx, to.URL, w, &a)
	a.Done = c.ledger.Now()
	c.ledger.Done(a)
	return a
}

func (c *client) exchange(ctx context.Context, url string, w *Webhook, a *Attempt) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+w.Path, strings.NewReader(w.Body))
	if err != nil {
		a.Failure = err.Error()
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if w.ContentType != "" {
		req.Header.Set("Content-Type", w.ContentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		a.Failure = failureOf(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		// The status came, but not all of what belongs to it: as if it did not.
		a.Failure = failureOf(err)
		return
	}
	a.Status = resp.StatusCode
	a.Verdict = verdictOf(body)
	a.Fault = faultOf(resp, string(body))
}

// verdictOf is what the answer says became of the webhook; empty if nothing.
func verdictOf(body []byte) string {
	var answer struct{ Verdict string }
	_ = json.Unmarshal(body, &answer) // what is no JSON says nothing
	return answer.Verdict
}

// faultOf is what is wrong with an answer in the shape that all answers have.
func faultOf(resp *http.Response, body string) string {
	switch {
	case strings.Contains(body, cardNumber):
		return "repeats the card number"
	case !strings.Contains(body, `"request_id":"`):
		return "has no request id"
	case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "":
		return "has no Retry-After"
	default:
		return ""
	}
}

// failureOf names in one word how an attempt failed without an answer.
func failureOf(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	default:
		return "cut"
	}
}
