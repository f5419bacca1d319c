// Package load simulates a payment provider: it generates webhooks, sends them in a
// closed loop or at a fixed rate, and measures how long each takes.
package load

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Shape is how webhooks are sent in one run.
type Shape struct {
	// Connections is the largest number of webhooks in flight.
	Connections int
	// Rate is the number of webhooks sent per second, whether the earlier ones are
	// answered or not: an open loop. 0 is a closed loop: each connection sends its
	// next webhook when the last is answered.
	Rate float64
	// Duration is how long new webhooks are sent.
	Duration time.Duration
}

// Open reports whether the shape is an open loop.
func (s Shape) Open() bool { return s.Rate > 0 }

// String returns a short name, such as "64 connections" or "2000/s".
func (s Shape) String() string {
	if s.Open() {
		return fmt.Sprintf("%.0f/s", s.Rate)
	}
	return fmt.Sprintf("%d connections", s.Connections)
}

// Provider sends the webhooks of a script to a target. It keeps its connections
// between runs and records whether each webhook was accepted.
type Provider struct {
	script  *Script
	target  Target
	timeout time.Duration
	// pause waits until the given time.
	pause func(time.Time)
	// idle are the connections of earlier runs.
	idle []*connection

	mu       sync.Mutex
	attempts []attempt
}

// attempt is a webhook, by its number in the script, that was sent.
type attempt struct {
	n        int64
	accepted bool
}

// NewProvider returns a provider. It connects with the first webhook and waits for
// an answer as long as timeout.
func NewProvider(s *Script, t Target, timeout time.Duration) *Provider {
	return &Provider{script: s, target: t, timeout: timeout, pause: pause}
}

// Run sends webhooks for the duration of the shape and waits for the answers. When
// ctx ends, Run aborts the webhooks in flight.
func (p *Provider) Run(ctx context.Context, shape Shape) *Result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for len(p.idle) < shape.Connections {
		p.idle = append(p.idle, newConnection(p.target, p.timeout))
	}
	r := &Result{Errors: make(map[string]int64), Latency: NewHistogram(), Late: NewHistogram(), Answer: NewHistogram()}
	s := newSchedule(shape, p.pause)
	var senders sync.WaitGroup
	for _, c := range p.idle[:shape.Connections] {
		stop := context.AfterFunc(ctx, c.interrupt)
		senders.Go(func() {
			defer stop()
			p.note(p.send(ctx, c, s, r))
		})
	}
	senders.Wait()
	r.Elapsed = time.Since(s.begin)
	if missed := s.total - s.sent; missed > 0 {
		r.Errors[notSent] += missed
	}
	return r
}

// Close closes the connections.
func (p *Provider) Close() {
	for _, c := range p.idle {
		c.close()
	}
}

// retryPause is the pause of a connection after an error in a closed loop. Without
// it the senders use all processors when the target is down.
const retryPause = 10 * time.Millisecond

// send sends one webhook after the other over a connection.
func (p *Provider) send(ctx context.Context, c *connection, s *schedule, r *Result) []attempt {
	var attempts []attempt
	var buffer []byte
	for {
		due, more := s.next(ctx)
		if !more {
			return attempts
		}
		n := p.script.take()
		w := p.script.webhook(n, buffer[:0])
		if due.IsZero() {
			due = time.Now()
		}
		sent, err := c.send(ctx, &w)
		r.record(due, sent, time.Now(), err)
		attempts, buffer = append(attempts, attempt{n, err == nil}), w.Body
		if err != nil && s.closed() {
			select {
			case <-ctx.Done():
			case <-time.After(retryPause):
			}
		}
	}
}

func (p *Provider) note(attempts []attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempts = append(p.attempts, attempts...)
}

// notSent is the error of webhooks that found no free connection before the run
// ended.
const notSent = "not sent: no connection was free"

// Result is what one run measured.
type Result struct {
	// Elapsed is the time from the start to the last answer.
	Elapsed time.Duration
	// Sent is the number of webhooks sent, Accepted the number answered 2xx.
	Sent, Accepted int64
	// Errors counts the webhooks that were not accepted, by kind of error, including
	// those that were due and could not be sent.
	Errors map[string]int64
	// Latency is the time in microseconds from when a webhook was due to its answer,
	// of accepted webhooks.
	Latency *hdrhistogram.Histogram
	// Late is the part of the latency before a webhook was sent: connecting and, in
	// an open loop, waiting for a free connection.
	Late *hdrhistogram.Histogram
	// Answer is the part of the latency after a webhook was sent, of accepted
	// webhooks.
	Answer *hdrhistogram.Histogram

	mu sync.Mutex
}

// NewHistogram returns a histogram for up to ten minutes in microseconds, with
// three significant digits.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, (10 * time.Minute).Microseconds(), 3)
}

func (r *Result) record(due, sent, answered time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Sent++
	_ = r.Late.RecordValue(sent.Sub(due).Microseconds()) // fails above ten minutes, which is longer than a run
	if err != nil {
		r.Errors[kindOf(err)]++
		return
	}
	r.Accepted++
	_ = r.Latency.RecordValue(answered.Sub(due).Microseconds())
	_ = r.Answer.RecordValue(answered.Sub(sent).Microseconds())
}

// Order holds the webhooks that were sent about an order and its dispute, in the
// order of their times.
type Order struct {
	ID       string
	Webhooks []Sent
}

// Sent is a webhook that was sent at least once.
type Sent struct {
	Webhook
	// Accepted reports whether it was answered 2xx at least once. If it was not, it
	// may or may not have been stored.
	Accepted bool
}

// Accepted returns the number of webhooks that were answered 2xx so far, including
// duplicates.
func (p *Provider) Accepted() (count int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.attempts {
		if a.accepted {
			count++
		}
	}
	return count
}

// Orders returns everything that was sent so far, by order. It must not be called
// during a run.
func (p *Provider) Orders() iter.Seq[Order] {
	type sent struct {
		position
		accepted bool
	}
	all := make([]sent, len(p.attempts))
	for i, a := range p.attempts {
		all[i] = sent{p.script.position(a.n), a.accepted}
	}
	slices.SortFunc(all, func(a, b sent) int { return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.index, b.index)) })
	return func(yield func(Order) bool) {
		for i := 0; i < len(all); {
			order := Order{ID: p.script.orderID(all[i].position)}
			for first := all[i]; i < len(all) && all[i].order == first.order; i++ {
				if i > 0 && all[i].position == all[i-1].position { // a duplicate
					last := &order.Webhooks[len(order.Webhooks)-1]
					last.Accepted = last.Accepted || all[i].accepted
					continue
				}
				order.Webhooks = append(order.Webhooks, Sent{p.script.at(all[i].position, nil), all[i].accepted})
			}
			if !yield(order) {
				return
			}
		}
	}
}
