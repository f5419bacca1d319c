// Package batch groups concurrent calls to a [payments.Applier] into larger ones:
// group commit at the api role, and calls shared by webhooks at the ingest role.
package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

var (
	// ErrOverloaded is returned while the queue of a shard is full. The call may
	// succeed later.
	ErrOverloaded = errors.New("too many updates are waiting")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("shutting down")
)

// Config holds the limits of a [Batcher]. Every field but Divide must be set.
type Config struct {
	// Shards is the number of batches that may be in flight at once. All updates of
	// one order go to the same shard and are applied in the order of their calls.
	Shards int
	// MaxBatch is the largest number of updates in one batch. A single call with more
	// updates becomes its own batch.
	MaxBatch int
	// MaxWaitingBytes is the size of the queue of one shard, in bytes of binary
	// Protobuf. An update counts as at least 4 KiB, because it also costs memory
	// beyond its bytes. When the queue is full, calls fail with ErrOverloaded.
	MaxWaitingBytes int
	// Timeout is the deadline of one batch. It does not depend on the contexts of the
	// callers, so a caller that gives up does not cancel the calls of the others.
	Timeout time.Duration
	// Divide reports whether an error may be caused by a single update. Then the calls
	// of the batch are repeated one by one, so that one bad update does not fail the
	// others. If Divide is nil, a batch is never divided.
	Divide func(error) bool
}

// Batcher collects the calls that arrive while a batch is in flight, and makes the
// next batch from them. There is no timer: a lone call starts at once, and batches
// grow with the load.
type Batcher struct {
	next    payments.Applier
	cfg     Config
	shards  []*shard
	mu      sync.Mutex // guards closed, and working.Add against Wait
	closed  bool
	working sync.WaitGroup
}

// New returns a Batcher in front of next. The caller closes it.
func New(next payments.Applier, cfg Config) *Batcher {
	b := &Batcher{next: next, cfg: cfg}
	for range cfg.Shards {
		b.shards = append(b.shards, new(shard))
	}
	return b
}

// Apply returns when the batches that its updates joined are done. If ctx ends
// first, updates that are still queued are dropped, and those in a batch in flight
// may still be applied.
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
		for i, at := range p.indexes {
			outcomes[at] = p.outcomes[i]
		}
	}
	return outcomes, nil
}

// Close refuses further calls and waits until all batches are done.
func (b *Batcher) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.working.Wait()
}

// Waiting returns the number and size of the updates that are queued, in the bytes of
// [Config.MaxWaitingBytes].
func (b *Batcher) Waiting() (updates, bytes int) {
	for _, s := range b.shards {
		n, size := s.waits()
		updates, bytes = updates+n, bytes+size
	}
	return updates, bytes
}

// Oldest returns the time at which the ingest role received the oldest update that is
// queued or in flight. It is zero if there is none.
func (b *Batcher) Oldest() (received time.Time) {
	for _, s := range b.shards {
		if at := s.oldest(); !at.IsZero() && (received.IsZero() || at.Before(received)) {
			received = at
		}
	}
	return received
}

// part holds the updates of one call that go to one shard.
type part struct {
	ctx     context.Context // the caller's
	shard   int
	updates []*payrelayv1.Update
	// indexes[i] is the index of updates[i] in the call.
	indexes  []int
	bytes    int
	outcomes []*payrelayv1.Outcome
	err      error
	done     chan struct{}
}

// wait returns when the part is done or the caller's context ends.
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

// minBytes is what a smaller update counts as in a queue.
const minBytes = 4 << 10

// split returns the parts of a call, one for each shard that it concerns.
func (b *Batcher) split(ctx context.Context, updates []*payrelayv1.Update) []*part {
	var parts []*part
	byShard := make([]*part, len(b.shards))
	for i, u := range updates {
		n := shardOf(u.GetOrderId(), len(b.shards))
		if byShard[n] == nil {
			byShard[n] = &part{ctx: ctx, shard: n, done: make(chan struct{})}
			parts = append(parts, byShard[n])
		}
		byShard[n].updates = append(byShard[n].updates, u)
		byShard[n].indexes = append(byShard[n].indexes, i)
		byShard[n].bytes += max(proto.Size(u), minBytes)
	}
	return parts
}

// submit queues a part, and starts the worker of its shard if that was idle.
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

// work applies batches of a shard until its queue is empty.
func (b *Batcher) work(s *shard) {
	for {
		batch := s.take(b.cfg.MaxBatch)
		if len(batch) == 0 {
			return
		}
		b.apply(batch)
		// The callers that have just been answered may join the next batch with
		// their next call. The yield costs nothing if there are none.
		runtime.Gosched()
	}
}

// apply makes one call for a batch and hands each part its share of the result.
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

// call applies all updates of a batch within the timeout.
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
