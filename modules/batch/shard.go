package batch

import (
	"hash/fnv"
	"sync"
	"time"
)

// shardOf returns the shard of an order, from 0 to n-1. It is stable across
// processes and releases.
func shardOf(orderID string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(orderID)) // a hash never fails
	return int(h.Sum32() % uint32(n))
}

// shard is a queue with at most one worker.
type shard struct {
	mu      sync.Mutex
	waiting []*part
	// inFlight is the batch that was taken last. It is done if busy is false.
	inFlight []*part
	bytes    int
	busy     bool
}

// waits returns the number and size of the updates in the queue.
func (s *shard) waits() (updates, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.waiting {
		updates += len(p.updates)
	}
	return updates, s.bytes
}

// oldest returns the earliest time of receipt in the queue and the batch in flight, or
// zero if both are empty.
func (s *shard) oldest() (received time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, parts := range [][]*part{s.inFlight, s.waiting} {
		for _, p := range parts {
			for _, u := range p.updates {
				if at := u.GetReceivedAt(); at != nil && p.ctx.Err() == nil && (received.IsZero() || at.AsTime().Before(received)) {
					received = at.AsTime()
				}
			}
		}
	}
	return received
}

// enqueue adds a part. It reports whether the shard was idle, so that the caller
// must start its worker.
func (s *shard) enqueue(p *part, maxBytes int) (idle bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes > 0 && s.bytes+p.bytes > maxBytes {
		return false, ErrOverloaded
	}
	s.waiting = append(s.waiting, p)
	s.bytes += p.bytes
	idle, s.busy = !s.busy, true
	return idle, nil
}

// take removes the next batch from the queue, in the order of the calls. An empty
// batch ends the worker. Parts whose caller has given up are dropped: they would
// only delay the calls that still wait.
func (s *shard) take(maxUpdates int) (batch []*part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	updates := 0
	for len(s.waiting) > 0 {
		p := s.waiting[0]
		if p.ctx.Err() != nil {
			s.pop()
			close(p.done)
			continue
		}
		if len(batch) > 0 && updates+len(p.updates) > maxUpdates {
			break
		}
		updates += len(p.updates)
		batch = append(batch, p)
		s.pop()
	}
	s.busy, s.inFlight = len(batch) > 0, batch
	return batch
}

func (s *shard) pop() {
	s.bytes -= s.waiting[0].bytes
	s.waiting[0] = nil // or the array would keep the part alive
	s.waiting = s.waiting[1:]
}
