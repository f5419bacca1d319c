package batch

import (
	"hash/fnv"
	"sync"
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
	bytes   int
	busy    bool
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
	s.busy = len(batch) > 0
	return batch
}

func (s *shard) pop() {
	s.bytes -= s.waiting[0].bytes
	s.waiting[0] = nil // or the array would keep the part alive
	s.waiting = s.waiting[1:]
}
