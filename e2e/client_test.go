package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
)

// answerWithin is the deadline of a request, longer than any of the program's own.
const answerWithin = 20 * time.Second

// client keeps connections alive, as providers do.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second}}

// reply is an answer with its whole body.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// verdict returns the verdict about a webhook, with the reason if there is one.
func (r reply) verdict() string {
	var answer struct{ Verdict, Reason string }
	if json.Unmarshal(r.body, &answer) != nil || answer.Reason == "" {
		return answer.Verdict
	}
	return answer.Verdict + " " + answer.Reason
}

// code returns the code of an error, or "" if the answer does not have the shape of
// all errors.
func (r reply) code() string {
	var answer struct {
		Error struct {
			Code, Message string
			RequestID     string `json:"request_id"`
		}
	}
	if json.Unmarshal(r.body, &answer) != nil {
		return ""
	}
	if e := answer.Error; e.Message == "" || len(e.Message) > 256 || e.RequestID == "" {
		return fmt.Sprintf("%s with the message %q and the request ID %q", e.Code, e.Message, e.RequestID)
	}
	return answer.Error.Code
}

func do(method, url, body string, headers ...string) (reply, error) {
	return doBy(client, method, url, body, headers...)
}

// clientAt returns a client that sends from an address of this machine.
func clientAt(address string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second}}
}

func doBy(client *http.Client, method, url, body string, headers ...string) (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }() // the body was read
	content, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, content}, err
}

func get(url string) (reply, error) { return do(http.MethodGet, url, "") }

func post(url, body string, headers ...string) (reply, error) {
	return do(http.MethodPost, url, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

func mustPost(t *testing.T, url, body string, headers ...string) reply {
	t.Helper()
	answer, err := post(url, body, headers...)
	if err != nil {
		t.Fatalf("post to %s: %v", url, err)
	}
	return answer
}

// send posts a webhook.
func (c *cluster) send(w webhook) (reply, error) { return post(c.url("ingest")+w.path, w.body) }

// accept sends a webhook that must be accepted, with this verdict if the mode
// answers with one.
func (c *cluster) accept(t *testing.T, w webhook, verdict string) {
	t.Helper()
	answer, err := c.send(w)
	if err != nil {
		t.Fatalf("send webhook %s: %v", w.event, err)
	}
	status := http.StatusOK
	if !c.answersVerdict() {
		status, verdict = http.StatusAccepted, "queued"
	}
	if answer.status != status || answer.verdict() != verdict {
		t.Errorf("webhook %s is answered %s, want %d and %s", w.event, answer, status, verdict)
	}
}

// The fields of the public API's items that tests read.
type (
	money struct {
		MinorUnits int64  `json:"minor_units"`
		Currency   string `json:"currency"`
	}
	orderItem struct {
		OrderID   string `json:"order_id"`
		Status    string `json:"status"`
		UserID    string `json:"user_id"`
		Amount    money  `json:"amount"`
		CreatedAt string `json:"created_at"`
		UpdatedAt string `json:"updated_at"`
	}
	disputeItem struct {
		DisputeID     string `json:"dispute_id"`
		OrderID       string `json:"order_id"`
		Status        string `json:"status"`
		Reason        string `json:"reason"`
		Amount        money  `json:"amount"`
		OpenedAt      string `json:"opened_at"`
		UpdatedAt     string `json:"updated_at"`
		EvidenceDueAt string `json:"evidence_due_at"`
	}
	eventItem struct {
		EventID    string `json:"event_id"`
		OrderID    string `json:"order_id"`
		DisputeID  string `json:"dispute_id"`
		Kind       string `json:"kind"`
		Verdict    string `json:"verdict"`
		Reason     string `json:"reason"`
		BodySHA256 string `json:"body_sha256"`
	}
)

// read returns an item of the public API, and whether there is one.
func read[T any](t *testing.T, c *cluster, path string) (item T, found bool) {
	t.Helper()
	answer, err := get(c.url("api") + path)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	if answer.status == http.StatusNotFound && answer.code() == "not_found" {
		return item, false
	}
	if answer.status != http.StatusOK {
		t.Fatalf("read %s: %s", path, answer)
	}
	if err := json.Unmarshal(answer.body, &item); err != nil {
		t.Fatalf("read %s: %v in %s", path, err, answer)
	}
	return item, true
}

// list returns the items of all pages of a listing, the oldest first.
func list[T any](t *testing.T, c *cluster, path string, filter url.Values) []T {
	t.Helper()
	query := url.Values{"limit": {"200"}, "sort_asc": {"true"}}
	for name, values := range filter {
		query[name] = values
	}
	var all []T
	for {
		page, _ := read[struct {
			Items      []T    `json:"items"`
			NextCursor string `json:"next_cursor"`
			HasMore    bool   `json:"has_more"`
		}](t, c, path+"?"+query.Encode())
		all = append(all, page.Items...)
		if !page.HasMore {
			return all
		}
		query.Set("cursor", page.NextCursor)
	}
}

// history returns the recorded events of an order, without those of its disputes, in
// the order of recording.
func (c *cluster) history(t *testing.T, orderID string) []eventItem {
	t.Helper()
	return list[eventItem](t, c, "/orders/events", url.Values{"order_ids": {orderID}})
}

// awaitHistory waits until an order has as many events as wanted, and compares them
// in the order of recording, each as "event kind verdict reason".
func (c *cluster) awaitHistory(t *testing.T, path, orderID string, want ...string) {
	t.Helper()
	var got []string
	defer func() {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("order %s has the history %q, want %q", orderID, got, want)
		}
	}()
	wait.Until(t, appliedWithin, fmt.Sprintf("order %s has %d events", orderID, len(want)), func() bool {
		got = nil
		for _, e := range list[eventItem](t, c, path, url.Values{"order_ids": {orderID}}) {
			got = append(got, strings.Join(strings.Fields(e.EventID+" "+e.Kind+" "+e.Verdict+" "+e.Reason), " "))
		}
		return len(got) >= len(want)
	})
}

// appliedWithin is how soon an accepted webhook must be applied.
const appliedWithin = 30 * time.Second
