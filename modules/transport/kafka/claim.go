package kafka

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/cenkalti/backoff/v5"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/transport"
)

const (
	// maxBatchRecords and maxBatchBytes bound the records that are applied in one call.
	maxBatchRecords = 512
	maxBatchBytes   = 4 << 20

	// attemptTimeout bounds one attempt at a batch.
	attemptTimeout = 30 * time.Second
	// retryMaxDelay is the longest delay between attempts, jitter apart.
	retryMaxDelay = 5 * time.Second
	// graceTimeout is the time that an attempt under way gets when the session ends, by
	// a rebalance or a shutdown.
	graceTimeout = 5 * time.Second
	// followInterval is the time between two questions for the end of a partition.
	followInterval = 5 * time.Second
)

// claim is a partition that this consumer consumes.
type claim struct {
	*Consumer
	partition sarama.ConsumerGroupClaim
	next      atomic.Int64 // the offset after the last applied record, or UnknownOffset
	newest    atomic.Int64 // the end of the partition when it was last asked for
	// received is when the ingest role received the oldest update of the batch that is
	// being applied, in microseconds of Unix time, or 0.
	received atomic.Int64
}

func newClaim(c *Consumer, partition sarama.ConsumerGroupClaim) *claim {
	started := &claim{Consumer: c, partition: partition}
	next := partition.InitialOffset()
	if next < 0 { // the group has no offset yet, and begins with the oldest record
		var known bool
		if next, known = c.oldest[topicPartition{partition.Topic(), partition.Partition()}]; !known {
			next = UnknownOffset
		}
	}
	started.next.Store(next)
	return started
}

// lag returns how many records are published and not yet applied, or UnknownOffset.
func (c *claim) lag() int64 {
	next := c.next.Load()
	if next < 0 {
		return UnknownOffset
	}
	return max(c.partition.HighWaterMarkOffset()-next, c.newest.Load()-next, 0)
}

// follow asks for the end of the partition from time to time, until ctx is done. The
// library learns it from the records that it fetches, and fetches none while a batch
// waits for the database: the lag would not grow in an outage.
func (c *claim) follow(ctx context.Context) {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// Without an answer, the lag is that of the last one; lost brokers are logged.
		if newest, err := c.client.GetOffset(c.partition.Topic(), c.partition.Partition(), sarama.OffsetNewest); err == nil {
			c.newest.Store(newest)
		}
	}
}

// batches yields the records that are ready, at least one, until ctx or the claim
// ends. There is no timer: the next batch fills while one is being applied.
func (c *claim) batches(ctx context.Context) iter.Seq[[]*sarama.ConsumerMessage] {
	limit := maxBatchRecords
	if c.cfg.Unary {
		limit = 1
	}
	return func(yield func([]*sarama.ConsumerMessage) bool) {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
				return
			case first, open := <-c.partition.Messages():
				if !open || !yield(c.fill(first, limit)) {
					return
				}
			}
		}
	}
}

func (c *claim) fill(first *sarama.ConsumerMessage, limit int) []*sarama.ConsumerMessage {
	c.next.CompareAndSwap(UnknownOffset, first.Offset)
	batch, size := []*sarama.ConsumerMessage{first}, len(first.Value)
	for len(batch) < limit && size < maxBatchBytes {
		select {
		case record, open := <-c.partition.Messages():
			if !open {
				return batch
			}
			batch, size = append(batch, record), size+len(record.Value)
		default:
			return batch
		}
	}
	return batch
}

// process applies the updates of a batch and dead-letters its other records. It returns
// an error only if ctx ended before that was done, or if the error is fatal.
func (c *claim) process(ctx context.Context, batch []*sarama.ConsumerMessage) error {
	updates, garbage := split(batch)
	c.received.Store(oldest(updates))
	defer c.received.Store(0)
	if len(updates) > 0 {
		if err := c.retry(ctx, "apply batch", func(ctx context.Context) error { return c.apply(ctx, updates) }); err != nil {
			return err
		}
	}
	for _, record := range garbage {
		err := c.retry(ctx, "dead-letter record", func(ctx context.Context) error { return c.deadLetters.DeadLetter(ctx, record) })
		if err != nil {
			return err
		}
	}
	return nil
}

// oldest returns the earliest time of receipt of updates, in microseconds of Unix time, or
// 0 if none states one.
func oldest(updates []*payrelayv1.Update) (received int64) {
	for _, u := range updates {
		if at := u.GetReceivedAt(); at != nil && (received == 0 || at.AsTime().UnixMicro() < received) {
			received = at.AsTime().UnixMicro()
		}
	}
	return received
}

// split decodes the records of a batch and returns those that are not updates
// separately.
func split(batch []*sarama.ConsumerMessage) (updates []*payrelayv1.Update, garbage []*payrelayv1.UndecodableRecord) {
	for _, record := range batch {
		update, err := decode(record.Value)
		if err != nil {
			garbage = append(garbage, undecodable(record, err))
			continue
		}
		updates = append(updates, update)
	}
	return updates, garbage
}

func (c *claim) apply(ctx context.Context, updates []*payrelayv1.Update) error {
	outcomes, err := c.applier.Apply(ctx, updates)
	if err == nil && len(outcomes) != len(updates) {
		err = fmt.Errorf("%d outcomes for %d updates", len(outcomes), len(updates))
	}
	return err
}

// retry calls attempt until it succeeds, ctx ends, or its error has been fatal for
// cfg.FatalAfter. An attempt under way may outlive ctx by graceTimeout, because its
// commit is probably under way too.
func (c *claim) retry(ctx context.Context, doing string, attempt func(context.Context) error) error {
	var fatalSince time.Time
	_, err := backoff.Retry(ctx,
		func() (struct{}, error) {
			lingering, cancel := linger(ctx, graceTimeout)
			defer cancel()
			bounded, cancel := context.WithTimeout(lingering, attemptTimeout)
			defer cancel()
			err := attempt(bounded)
			switch {
			case !c.fatal(err):
				fatalSince = time.Time{}
			case fatalSince.IsZero():
				fatalSince = time.Now()
			}
			if !fatalSince.IsZero() && time.Since(fatalSince) >= c.cfg.FatalAfter {
				err = backoff.Permanent(err)
			}
			return struct{}{}, err
		},
		backoff.WithBackOff(transport.NewBackOff(50*time.Millisecond, retryMaxDelay)),
		backoff.WithMaxElapsedTime(0), // no limit
		backoff.WithNotify(func(err error, wait time.Duration) {
			c.log.Warn("kafka consumer failed to "+doing+" and retries",
				"topic", c.partition.Topic(), "partition", c.partition.Partition(), "wait", wait, "error", err)
		}),
	)
	return err
}

// linger returns a context that outlives parent by the grace.
func linger(parent context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() { stop(); cancel() }
}

func (c *claim) mark(session sarama.ConsumerGroupSession, batch []*sarama.ConsumerMessage) {
	last := batch[len(batch)-1]
	session.MarkMessage(last, "")
	c.next.Store(last.Offset + 1)
}
