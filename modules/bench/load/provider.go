// Package load is the provider: it makes webhooks and sends them, as fast as
// they are answered or at a rate of its own, and notes how long each took.
package load

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Shape is how hard and how long webhooks are sent.
type Shape struct {
	// Connections is how many webhooks are under way at most.
	Connections int
	// Rate is how many are sent each second, whether the ones before are answered
	// or not: an open loop. 0 is a closed loop: each connection sends its next one
	// when the last is answered.
	Rate float64
	// Duration is how long new ones are sent.
	Duration time.Duration
}

// Open says that the rate is the provider's and not the answers'.
func (s Shape) Open() bool { return s.Rate > 0 }

// String is the shape for people, such as "64 connections" or "2000/s".
func (s Shape) String() string {
	if s.Open() {
		return fmt.Sprintf("%.0f/s", s.Rate)
	}
	return fmt.Sprintf("%d connections", s.Connections)
}

// Provider sends the webhooks of a script to a target. It keeps its connections
// and remembers what became of everything that it has sent.
type Provider struct {
	script  *Script
	target  Target
	timeout time.Duration
	// pause waits until a moment.
	pause func(time.Time)
	// idle are the connections of the runs before.
	idle []*connection

	mu       sync.Mutex
	attempts []attempt
}

// attempt is a webhook by its number in the script.
type attempt struct {
	n        int64
	accepted bool
}

// NewProvider connects when it has something to send. It waits for an answer as
// long as timeout.
func NewProvider(s *Script, t Target, timeout time.Duration) *Provider {
	return &Provider{script: s, target: t, timeout: timeout, pause: pause}
}

// Run sends webhooks until the shape's duration is over and those under way are
// answered, or ctx ends, which cuts them off.
func (p *Provider) Run(ctx context.Context, shape Shape) *Result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := newResult()
	queue := p.queue(shape)
	var senders sync.WaitGroup
	for _, c := range p.connections(shape.Connections) {
		stop := context.AfterFunc(ctx, c.interrupt)
		senders.Go(func() {
			defer stop()
			p.note(p.serve(ctx, c, queue, r))
		})
	}
	senders.Wait()
	r.Elapsed = time.Since(queue.began())
	r.miss(queue.left())
	return r
}

// Close closes the connections.
func (p *Provider) Close() {
	for _, c := range p.idle {
		c.close()
	}
}

func (p *Provider) connections(count int) []*connection {
	for len(p.idle) < count {
		p.idle = append(p.idle, newConnection(p.target, p.timeout))
	}
	return p.idle[:count]
}

// serve sends one webhook after the other over a connection.
func (p *Provider) serve(ctx context.Context, c *connection, q queue, r *Result) []attempt {
	var attempts []attempt
	var buffer []byte
	for {
		due, more := q.next(ctx)
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
		if err != nil {
			q.trouble(ctx)
		}
	}
}

func (p *Provider) note(attempts []attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempts = append(p.attempts, attempts...)
}
