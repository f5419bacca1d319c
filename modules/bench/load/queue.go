package load

import (
	"context"
	"time"
)

// queue tells senders when the next webhook is due.
type queue interface {
	// next waits until one is due; due is zero in a closed loop, where that is as
	// soon as somebody can send it.
	next(ctx context.Context) (due time.Time, more bool)
	// trouble follows a webhook that was not accepted.
	trouble(ctx context.Context)
	began() time.Time
	// left is how many were due and could not be sent.
	left() int64
}

func (p *Provider) queue(s Shape) queue {
	begin := time.Now()
	if !s.Open() {
		return &closedLoop{begin: begin, end: begin.Add(s.Duration)}
	}
	return &openLoop{
		begin: begin, giveUp: begin.Add(s.Duration + max(s.Duration/4, time.Second)),
		rate: s.Rate, total: int64(s.Rate * s.Duration.Seconds()), pause: p.pause, turn: make(chan struct{}, 1),
	}
}

type closedLoop struct{ begin, end time.Time }

func (q *closedLoop) next(ctx context.Context) (time.Time, bool) {
	return time.Time{}, ctx.Err() == nil && time.Now().Before(q.end)
}

// trouble keeps senders from spending all processors on a target that is gone.
func (q *closedLoop) trouble(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
}

func (q *closedLoop) began() time.Time { return q.begin }
func (q *closedLoop) left() int64      { return 0 }

// openLoop has webhooks fall due at a rate, whatever happens. One that finds no
// connection free waits for one, and that counts as its latency: a target that
// stalls delays all that were due meanwhile, and not only those under way.
type openLoop struct {
	begin time.Time
	// giveUp ends a run whose target does not keep up.
	giveUp time.Time
	rate   float64
	total  int64
	pause  func(time.Time)

	// turn has one token, held by the sender that waits for the next webhook to
	// fall due; the others wait for the token.
	turn chan struct{}
	sent int64
}

func (q *openLoop) next(ctx context.Context) (time.Time, bool) {
	q.turn <- struct{}{}
	defer func() { <-q.turn }()
	due := q.begin.Add(time.Duration(float64(q.sent) / q.rate * float64(time.Second)))
	for now := time.Now(); ; now = time.Now() {
		if q.sent == q.total || ctx.Err() != nil || now.After(q.giveUp) {
			return time.Time{}, false
		}
		if !now.Before(due) {
			q.sent++
			return due, true
		}
		q.pause(earlier(due, now.Add(100*time.Millisecond)))
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// trouble changes nothing: the rate is the provider's.
func (q *openLoop) trouble(context.Context) {}

func (q *openLoop) began() time.Time { return q.begin }
func (q *openLoop) left() int64      { return q.total - q.sent }
