package simulate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// credentials are what a provider signs with, beside the secret.
type credentials struct {
	*Config
	live         bool
	certificates *certificates // of paypal
}

// sender delivers webhooks as a provider does: what is not answered 2xx is signed and
// sent again.
type sender struct {
	*credentials
	provider provider
	lives    []*life
	client   *http.Client
	limit    *rate.Limiter
	// sent counts the webhooks that were signed, to take the secrets in turn.
	sent   atomic.Uint64
	report *Report

	mu sync.Mutex // guards report
}

// errHopeless ends a run of which every webhook is refused.
var errHopeless = errors.New("every webhook is refused: see the answers in the report")

// hopeless is the number of refusals, without one webhook accepted, that ends a run.
const hopeless = 50

// deliver sends all webhooks. The error is not nil if the run ended early.
func (s *sender) deliver(ctx context.Context, jobs []job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan job)
	var workers sync.WaitGroup
	for range s.Concurrency {
		workers.Go(func() {
			for j := range queue {
				for _, webhook := range j {
					if err := s.deliverOne(ctx, webhook); err != nil {
						cancel(err)
					}
				}
			}
		})
	}
	for _, j := range jobs {
		select {
		case queue <- j:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

// deliverOne sends a webhook until it is accepted, at most Attempts times. It returns an
// error if the run must end.
func (s *sender) deliverOne(ctx context.Context, webhook []delivery) error {
	events := make([]event, len(webhook))
	for i, d := range webhook {
		events[i] = s.provider.event(s.lives[d.life], d.step, d.again)
	}
	s.count(func(r *Report) { r.Webhooks++; r.Events += len(events) })
	for attempt := 1; ; attempt++ {
		if err := s.limit.Wait(ctx); err != nil {
			return context.Cause(ctx)
		}
		signed, err := s.sign(events)
		if err != nil {
			return err
		}
		a := s.send(ctx, signed)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.count(func(r *Report) { r.add(a, attempt > 1) })
		if a.accepted() {
			return nil
		}
		if s.hopeless() {
			return errHopeless
		}
		if attempt == s.Attempts {
			s.count(func(r *Report) { r.GivenUp++ })
			return nil
		}
		select {
		case <-time.After(a.pause(attempt)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *sender) count(do func(*Report)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s.report)
}

func (s *sender) hopeless() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.report.Accepted == 0 && s.report.refusals() >= hopeless
}

// sign signs events with the current time, by the next secret.
func (s *sender) sign(events []event) (request, error) {
	secret := ""
	if n := uint64(len(s.Secrets)); n > 0 {
		secret = s.Secrets[(s.sent.Add(1)-1)%n]
	}
	signed, err := s.provider.request(s.credentials, secret, events, time.Now())
	if err != nil {
		return request{}, fmt.Errorf("sign a webhook: %w", err)
	}
	return signed, nil
}

// answer is the result of sending a webhook.
type answer struct {
	// status is 0 if there was no answer; then code says why.
	status        int
	code, message string
	retryAfter    time.Duration
}

func (a answer) accepted() bool { return a.status/100 == 2 }

// refused reports whether the server will never accept the webhook. 429 means "later".
func (a answer) refused() bool { return a.status/100 == 4 && a.status != http.StatusTooManyRequests }

// The pauses between attempts. A provider's are longer, as its webhooks can wait.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// pause returns how long to wait after an attempt: twice as long each time, at least half
// of it, and at least as long as the server demands, up to maxPause.
func (a answer) pause(attempt int) time.Duration {
	full := min(firstPause<<min(attempt-1, 10), maxPause)
	return min(max(full/2+rand.N(full/2), a.retryAfter), maxPause)
}

// maxAnswerBytes is how much of an answer is read.
const maxAnswerBytes = 64 << 10

// send sends a webhook once.
func (s *sender) send(ctx context.Context, signed request) answer {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	url := strings.TrimSuffix(s.URL, "/") + "/webhooks/" + s.Source + signed.path
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(signed.body))
	if err != nil {
		return answer{code: "invalid_request", message: err.Error()}
	}
	r.Header = signed.header
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(r)
	if err != nil {
		return answer{code: failureOf(err)}
	}
	defer func() { _ = resp.Body.Close() }() // what is needed was read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return answer{code: failureOf(err)}
	}
	a := answer{status: resp.StatusCode}
	var shown struct {
		Error struct{ Code, Message string }
	}
	if !a.accepted() && json.Unmarshal(body, &shown) == nil { // a proxy's answer has another form
		a.code, a.message = shown.Error.Code, shown.Error.Message
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		a.retryAfter = time.Duration(seconds) * time.Second
	}
	return a
}

// failureOf returns the code of an error without an answer. There are few codes.
func failureOf(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection_lost"
	default:
		return "network_error"
	}
}

// String returns the answer in one line.
func (a answer) String() string {
	if a.status == 0 {
		return cmp.Or(a.code, "no answer")
	}
	return strings.TrimSpace(fmt.Sprint(a.status, " ", a.code))
}
