package payments

import (
	"hash/fnv"
	"sync"
)

// Shard is where the updates of an order go, of n places that work side by
// side. It is stable over processes and releases.
func Shard(orderID string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(orderID)) // a hash never fails
	return int(h.Sum32() % uint32(n))
}

// shard is a queue that at most one goroutine works on.
type shard struct {
	mu      sync.Mutex
	waiting []*part
	bytes   int
	busy    bool
}

// enqueue adds a part; idle says that the caller has to start the work.
func (s *shard) enqueue(p *part, mostBytes int) (idle bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes > 0 && s.bytes+p.bytes > mostBytes {
		return false, ErrOverloaded
	}
	s.waiting = append(s.waiting, p)
	s.bytes += p.bytes
	idle, s.busy = !s.busy, true
	return idle, nil
}

// take is the next batch, in the sequence of the calls; none ends the work.
// Parts whose caller has left are dropped: when the next stage is slow, they
// would be work for nobody and hold up those who still wait.
func (s *shard) take(most int) (batch []*part) {
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
		if len(batch) > 0 && updates+len(p.updates) > most {
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
	s.waiting[0] = nil // the queue's array must not keep what is done
	s.waiting = s.waiting[1:]
}
