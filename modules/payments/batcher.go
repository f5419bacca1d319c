package payments

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

var (
	// ErrOverloaded says that the batcher's queue is full: try again later.
	ErrOverloaded = errors.New("too many updates are waiting")
	// ErrClosed says that the batcher takes no more updates.
	ErrClosed = errors.New("shutting down")
)

// BatcherConfig bounds a batcher. Every field but Divide must be set.
type BatcherConfig struct {
	// Shards is how many batches may be under way at once. Updates of one order
	// are always in the same shard and never overtake each other.
	Shards int
	// MaxBatch is how many updates one batch holds at most; a single call with
	// more of them still goes through, as a batch of its own.
	MaxBatch int
	// MaxWaitingBytes is how much may wait in a shard before more of it is
	// refused with ErrOverloaded, in bytes of binary Protobuf. Small updates
	// count as 4 KiB, since one costs more than its bytes.
	MaxWaitingBytes int
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
// ends first, updates that a batch has taken up may still be applied; those that
// wait are dropped, for nobody would learn of them.
func (b *Batcher) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	parts := b.split(ctx, updates)
	for _, p := range parts {
		if err := b.submit(p); err != nil {
			return nil, err
		}
	}
	outcomes := make([]*payrelayv1.Outcome, len(updates))
	for _, p := range parts {
		if err := p.wait(); err != nil {
			return nil, err
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
	ctx     context.Context // the caller's
	shard   int
	updates []*payrelayv1.Update
	// places[i] is where in the call updates[i] was.
	places   []int
	bytes    int
	outcomes []*payrelayv1.Outcome
	err      error
	done     chan struct{}
}

// wait returns when the part is done or its caller leaves.
func (p *part) wait() error {
	select {
	case <-p.done:
	case <-p.ctx.Done():
	}
	if p.ctx.Err() != nil {
		return fmt.Errorf("wait for a batch: %w", context.Cause(p.ctx))
	}
	return p.err
}

// minWeight is what an update counts at least while it waits.
const minWeight = 4 << 10

func (b *Batcher) split(ctx context.Context, updates []*payrelayv1.Update) []*part {
	var parts []*part
	byShard := make([]*part, len(b.shards))
	for i, u := range updates {
		n := Shard(u.GetOrderId(), len(b.shards))
		if byShard[n] == nil {
			byShard[n] = &part{ctx: ctx, shard: n, done: make(chan struct{})}
			parts = append(parts, byShard[n])
		}
		byShard[n].updates = append(byShard[n].updates, u)
		byShard[n].places = append(byShard[n].places, i)
		byShard[n].bytes += max(proto.Size(u), minWeight)
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
	idle, err := s.enqueue(p, b.cfg.MaxWaitingBytes)
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
		// Let those who have just been answered join the next batch with their
		// next call. It costs nothing when there is nobody.
		runtime.Gosched()
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
