package workload

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// clientTimeout is the provider's own deadline for an answer: longer than any
// deadline of payrelay and any fault together.
const clientTimeout = 20 * time.Second

// client posts webhooks to the ingest processes in turn, as a load balancer would, and
// records each attempt.
type client struct {
	recorder *history.Recorder
	urls     map[string]string
	names    []string // of urls
	next     atomic.Int64
	http     *http.Client
}

// newClient returns a client of the ingest processes with these names and URLs.
func newClient(recorder *history.Recorder, urls map[string]string) *client {
	return &client{recorder: recorder, urls: urls, names: slices.Sorted(maps.Keys(urls)), http: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 2 * senders, DisableCompression: true},
		Timeout:   clientTimeout,
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// post makes one attempt.
func (c *client) post(ctx context.Context, w *history.Webhook) history.Attempt {
	to := c.names[int(c.next.Add(1))%len(c.names)]
	a := c.recorder.Sending(w, to)
	a.From = c.recorder.Now()
	c.exchange(ctx, c.urls[to], w, &a)
	a.Done = c.recorder.Now()
	c.recorder.Done(a)
	return a
}

func (c *client) exchange(ctx context.Context, url string, w *history.Webhook, a *history.Attempt) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+w.Path, strings.NewReader(w.Body))
	if err != nil {
		a.Failure = err.Error()
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if w.ContentType != "" {
		req.Header.Set("Content-Type", w.ContentType)
	}
	setSignature(req.Header, w, time.Now())
	resp, err := c.http.Do(req)
	if err != nil {
		a.Failure = failure(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		// An answer that is not complete is none, although its status has come.
		a.Failure = failure(err)
		return
	}
	a.Status = resp.StatusCode
	a.Verdict = verdict(body)
	a.Defect = defect(resp, string(body))
}

// verdict returns the verdict in an answer, or "".
func verdict(body []byte) string {
	var answer struct{ Verdict string }
	_ = json.Unmarshal(body, &answer) // an answer that is not JSON has no verdict
	return answer.Verdict
}

// defect describes what every answer must have and this one has not.
func defect(resp *http.Response, body string) string {
	switch {
	case strings.Contains(body, history.CardNumber):
		return "repeats the card number"
	case strings.Contains(body, history.Secret):
		return "repeats the secret"
	case !strings.Contains(body, `"request_id":"`):
		return "has no request ID"
	case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "":
		return "has no Retry-After"
	default:
		return ""
	}
}

// failure classifies the error of an attempt without an answer.
func failure(err error) string {
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
