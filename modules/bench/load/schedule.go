package load

import (
	"context"
	"time"
)

// schedule decides when the webhooks of a run are due.
//
// In a closed loop a webhook is due as soon as a connection is free. In an open loop
// webhooks are due at a fixed rate. One that finds no free connection waits, and the
// wait counts as latency: a target that stalls delays all webhooks that fall due
// meanwhile, not only those in flight.
type schedule struct {
	begin time.Time
	// end is when a closed loop sends no more, and when an open loop gives up on a
	// target that does not keep up.
	end   time.Time
	rate  float64 // webhooks per second; 0 in a closed loop
	total int64   // the webhooks of an open loop; 0 in a closed loop
	pause func(time.Time)

	// turn holds a token while a sender waits for the next webhook to fall due. The
	// other senders wait for the token, which guards sent.
	turn chan struct{}
	sent int64
}

func newSchedule(s Shape, pause func(time.Time)) *schedule {
	begin := time.Now()
	if !s.Open() {
		return &schedule{begin: begin, end: begin.Add(s.Duration)}
	}
	return &schedule{
		begin: begin, end: begin.Add(s.Duration + max(s.Duration/4, time.Second)),
		rate: s.Rate, total: int64(s.Rate * s.Duration.Seconds()), pause: pause, turn: make(chan struct{}, 1),
	}
}

func (s *schedule) closed() bool { return s.rate == 0 }

// next waits until a webhook is due and returns when it was due; zero in a closed
// loop, where it is due when it is sent. It reports false when the run is over.
func (s *schedule) next(ctx context.Context) (due time.Time, more bool) {
	if s.closed() {
		return time.Time{}, ctx.Err() == nil && time.Now().Before(s.end)
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	due = s.begin.Add(time.Duration(float64(s.sent) / s.rate * float64(time.Second)))
	for now := time.Now(); ; now = time.Now() {
		if s.sent == s.total || ctx.Err() != nil || now.After(s.end) {
			return time.Time{}, false
		}
		if !now.Before(due) {
			s.sent++
			return due, true
		}
		until := due
		if soon := now.Add(100 * time.Millisecond); soon.Before(due) {
			until = soon // to check ctx
		}
		s.pause(until)
	}
}
