package payments

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

var (
	// ErrOverloaded says that the batcher's queue is full: try again later.
	ErrOverloaded = errors.New("too many updates are waiting")
	// ErrClosed says that the batcher takes no more updates.
	ErrClosed = errors.New("shutting down")
)

// Shard is where the updates of an order go, of n places that work side by
// side. It is stable over processes and releases.
func Shard(orderID string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(orderID)) // a hash never fails
	return int(h.Sum32() % uint32(n))
}

// BatcherConfig bounds a batcher. Every field but Divide must be set.
type BatcherConfig struct {
	// Shards is how many batches may be under way at once. Updates of one order
	// are always in the same shard and never overtake each other.
	Shards int
	// MaxBatch is how many updates one batch holds at most; a single call with
	// more of them still goes through, as a batch of its own.
	MaxBatch int
	// MaxWaiting is how many updates may wait in a shard before more of them
	// are refused with ErrOverloaded.
	MaxWaiting int
	// Timeout is the deadline of one batch. It is the batch's own: a caller
	// that gives up does not take the others with it.
	Timeout time.Duration
	// Divide says of a batch's error that it is about one of the updates rather
	// than about the next stage. The calls are then made one by one, so that a
	// bad update does not sink those beside it. Nil divides never.
	Divide func(error) bool
}

// Batcher is group commit: calls that come while a batch is under way go
// together in the next one. There is no timer, so a lone call goes at once, and
// the busier it gets the larger the batches grow.
type Batcher struct {
	next    Applier
	cfg     BatcherConfig
	shards  []*shard
	mu      sync.Mutex // guards closed against working.Add after Wait
	closed  bool
	working sync.WaitGroup
}

// NewBatcher puts a batcher before the next stage. Close it when no more calls
// come.
func NewBatcher(next Applier, cfg BatcherConfig) *Batcher {
	b := &Batcher{next: next, cfg: cfg}
	for range cfg.Shards {
		b.shards = append(b.shards, new(shard))
	}
	return b
}

// Apply waits until the batches that took the updates in are done. When ctx
// ends first the updates may still be applied.
func (b *Batcher) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	parts := b.split(updates)
	for _, p := range parts {
		if err := b.submit(p); err != nil {
			return nil, err
		}
	}
	outcomes := make([]*payrelayv1.Outcome, len(updates))
	for _, p := range parts {
		select {
		case <-p.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a batch: %w", context.Cause(ctx))
		}
		if p.err != nil {
			return nil, p.err
		}
		for i, at := range p.places {
			outcomes[at] = p.outcomes[i]
		}
	}
	return outcomes, nil
}

// Close waits until all batches are done and refuses further calls.
func (b *Batcher) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.working.Wait()
}

// part is what of one call goes to one shard.
type part struct {
	shard   int
	updates []*payrelayv1.Update
	// places[i] is where in the call updates[i] was.
	places   []int
	outcomes []*payrelayv1.Outcome
	err      error
	done     chan struct{}
}

func (b *Batcher) split(updates []*payrelayv1.Update) []*part {
	var parts []*part
	byShard := make([]*part, len(b.shards))
	for i, u := range updates {
		n := Shard(u.GetOrderId(), len(b.shards))
		if byShard[n] == nil {
			byShard[n] = &part{shard: n, done: make(chan struct{})}
			parts = append(parts, byShard[n])
		}
		byShard[n].updates = append(byShard[n].updates, u)
		byShard[n].places = append(byShard[n].places, i)
	}
	return parts
}

// submit queues a part, and sets its shard to work if it was idle.
func (b *Batcher) submit(p *part) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	s := b.shards[p.shard]
	idle, err := s.enqueue(p, b.cfg.MaxWaiting)
	if err != nil {
		return err
	}
	if idle {
		b.working.Go(func() { b.work(s) })
	}
	return nil
}

// work takes batch after batch until nothing waits.
func (b *Batcher) work(s *shard) {
	for {
		batch := s.take(b.cfg.MaxBatch)
		if len(batch) == 0 {
			return
		}
		b.apply(batch)
		clear(batch) // the queue's array must not keep what is done
	}
}

// apply makes one call of a batch and gives each part its share of the result.
func (b *Batcher) apply(batch []*part) {
	outcomes, err := b.call(batch)
	if err != nil && len(batch) > 1 && b.cfg.Divide != nil && b.cfg.Divide(err) {
		for _, p := range batch {
			b.apply([]*part{p})
		}
		return
	}
	for _, p := range batch {
		if p.err = err; err == nil {
			p.outcomes, outcomes = outcomes[:len(p.updates)], outcomes[len(p.updates):]
		}
		close(p.done)
	}
}

func (b *Batcher) call(batch []*part) ([]*payrelayv1.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), b.cfg.Timeout)
	defer cancel()
	updates := batch[0].updates
	if len(batch) > 1 {
		updates = make([]*payrelayv1.Update, 0, b.cfg.MaxBatch)
		for _, p := range batch {
			updates = append(updates, p.updates...)
		}
	}
	outcomes, err := b.next.Apply(ctx, updates)
	if err == nil && len(outcomes) != len(updates) {
		return nil, fmt.Errorf("%d outcomes for %d updates", len(outcomes), len(updates))
	}
	return outcomes, err
}

// shard is a queue that at most one goroutine works on.
type shard struct {
	mu      sync.Mutex
	waiting []*part
	updates int
	busy    bool
}

// enqueue adds a part; idle says that the caller has to start the work.
func (s *shard) enqueue(p *part, most int) (idle bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.updates > 0 && s.updates+len(p.updates) > most {
		return false, ErrOverloaded
	}
	s.waiting = append(s.waiting, p)
	s.updates += len(p.updates)
	idle, s.busy = !s.busy, true
	return idle, nil
}

// take is the next batch, in the sequence of the calls; none ends the work.
func (s *shard) take(most int) []*part {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, updates := 0, 0
	for n < len(s.waiting) && (n == 0 || updates+len(s.waiting[n].updates) <= most) {
		updates += len(s.waiting[n].updates)
		n++
	}
	batch := s.waiting[:n:n]
	s.waiting = s.waiting[n:]
	s.updates -= updates
	s.busy = n > 0
	return batch
}
