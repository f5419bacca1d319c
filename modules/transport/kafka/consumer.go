package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
)

// DeadLetters keeps records that are no updates for an operator.
type DeadLetters interface {
	// DeadLetter may be called again for the same topic, partition and offset and
	// must keep the record once.
	DeadLetter(ctx context.Context, record *payrelayv1.UndecodableRecord) error
}

// Consumer is the far side of the mode kafka: a member of the consumer group
// that hands batches of one partition to an Applier and commits their offsets
// when it has returned.
//
// Nothing is ever skipped. As long as the Applier fails, the batch is tried
// again and its partition waits: an outage of the database must not turn
// payments into dead letters. What waiting does not mend ends the consumer.
type Consumer struct {
	cfg         Config
	group       sarama.ConsumerGroup
	client      sarama.Client // of the group, which does not close it
	applier     payments.Applier
	deadLetters DeadLetters
	log         *slog.Logger
	joined      atomic.Bool
	claims      sync.Map                 // *claim -> nothing: the partitions that are consumed now
	assigned    atomic.Int64             // how many partitions are ours now, consumed or not
	oldest      map[topicPartition]int64 // what they had when the session began
	fail        context.CancelCauseFunc
	expired     atomic.Int64
	rivalTold   atomic.Int64 // when the log told of a process with our name, in s of Unix time
}

// NewConsumer connects to the brokers. Run must be called once, also to release
// the connection of a start that failed: then with a cancelled context.
func NewConsumer(cfg Config, applier payments.Applier, deadLetters DeadLetters, log *slog.Logger) (*Consumer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	group, client, err := newGroup(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect the consumer to Kafka at %v: %w", cfg.Brokers, err)
	}
	return &Consumer{cfg: cfg, group: group, client: client, applier: applier, deadLetters: deadLetters, log: log}, nil
}

// Run consumes until ctx is cancelled and the batches in hand are applied and
// committed, for which they get a few seconds. It returns an error when the
// Applier's is fatal.
func (c *Consumer) Run(ctx context.Context) error {
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	c.fail = fail
	var logged sync.WaitGroup
	logged.Go(c.logErrors)
	c.consume(running)
	if err := c.group.Close(); err != nil {
		// Offsets that could not be committed only mean that records come again.
		c.log.Warn("kafka consumer left its group without the brokers' consent", "group", c.cfg.Group, "error", err)
	}
	logged.Wait()
	if err := c.client.Close(); err != nil {
		c.log.Warn("kafka consumer did not close its connections", "error", err)
	}
	if ctx.Err() == nil {
		return fmt.Errorf("updates wait in Kafka, none is lost or skipped: %w", context.Cause(running))
	}
	return nil
}

func (c *Consumer) consume(ctx context.Context) {
	pause := transport.NewBackOff(50*time.Millisecond, 5*time.Second)
	for ctx.Err() == nil {
		// Consume returns nil at every rebalance, to be called again.
		if err := c.group.Consume(ctx, c.cfg.Names(), sessions{c}); err != nil && ctx.Err() == nil {
			c.warn("kafka consumer cannot join its group and tries again", err)
			sleep(ctx, pause.NextBackOff())
			continue
		}
		pause.Reset()
	}
}

// fatal says that err will not pass.
func (c *Consumer) fatal(err error) bool { return c.cfg.Fatal != nil && c.cfg.Fatal(err) }

// logErrors tells of what the library meets in the background, until the group is
// closed.
func (c *Consumer) logErrors() {
	for err := range c.group.Errors() {
		c.warn("kafka consumer", err)
	}
}

// warn logs an error of the group. One is for a person to mend and told once a
// minute, however often it is met: another process has our name, came later, and
// is the member now. This one goes on asking, since it is the member again 10 s
// after the other has gone. If it ended, whatever starts it again would have the
// two shut each other out for ever.
func (c *Consumer) warn(message string, err error) {
	if !errors.Is(err, sarama.ErrFencedInstancedId) {
		c.log.Warn(message, "group", c.cfg.Group, "error", err)
		return
	}
	last, now := c.rivalTold.Load(), time.Now().Unix()
	if now-last >= 60 && c.rivalTold.CompareAndSwap(last, now) {
		c.log.Error("this process is shut out by another one that runs as the same static member, and applies nothing: give each its own kafka-instance-id (KAFKA_INSTANCE_ID), or stop one",
			"instance", c.cfg.InstanceID, "error", err)
	}
}

// Ready says whether the consumer is a member of its group at the moment. It is
// not during a rebalance, nor while the brokers are away for long.
func (c *Consumer) Ready() bool { return c.joined.Load() }

// Lag is how many records of this member's partitions are published and not yet
// applied. It is not known of a process that is no member, nor as long as one of
// its partitions has no leader.
func (c *Consumer) Lag() (records int64, known bool) {
	var partitions int64
	known = c.Ready()
	c.PartitionLags(func(_ string, _ int32, lag int64) {
		partitions++
		records += lag
		known = known && lag >= 0
	})
	return records, known && partitions == c.assigned.Load()
}

// Expired is how many records were deleted before this process could apply them,
// since it started.
func (c *Consumer) Expired() int64 { return c.expired.Load() }

// PartitionLags tells of each partition that this member consumes how many records
// are published and not yet applied, or UnknownOffset.
func (c *Consumer) PartitionLags(tell func(topic string, partition int32, records int64)) {
	c.claims.Range(func(key, _ any) bool {
		claim := key.(*claim)
		tell(claim.partition.Topic(), claim.partition.Partition(), claim.lag())
		return true
	})
}

// sessions keeps the library's callbacks out of the Consumer's own methods.
type sessions struct{ *Consumer }

func (s sessions) Setup(session sarama.ConsumerGroupSession) error {
	s.oldest = s.examine(session)
	var assigned int
	for _, partitions := range session.Claims() {
		assigned += len(partitions)
	}
	s.assigned.Store(int64(assigned))
	s.joined.Store(true)
	return nil
}

func (s sessions) Cleanup(sarama.ConsumerGroupSession) error {
	s.joined.Store(false)
	return nil
}

// ConsumeClaim applies one partition, batch by batch, until the session ends.
func (s sessions) ConsumeClaim(session sarama.ConsumerGroupSession, partition sarama.ConsumerGroupClaim) error {
	c := newClaim(s.Consumer, partition)
	s.claims.Store(c, nil)
	defer s.claims.Delete(c)
	for batch := range c.batches(session.Context()) {
		if err := c.settle(session.Context(), batch); err != nil {
			if c.fatal(err) {
				c.fail(err)
			}
			return nil // the batch comes again, here or elsewhere
		}
		c.mark(session, batch)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// patientClient lets a consumer go on with the partitions that have a leader. The
// library's own tells of a topic as of an error when a single partition lacks one,
// and then nobody can join the group, or follow another partition to its new
// leader.
type patientClient struct{ sarama.Client }

// RefreshMetadata takes what the brokers know for an answer. Who needs the leader
// of a partition asks for it, and is told.
func (c patientClient) RefreshMetadata(topics ...string) error {
	err := c.Client.RefreshMetadata(topics...)
	if errors.Is(err, sarama.ErrLeaderNotAvailable) {
		return nil
	}
	return err
}

// newGroup connects a member of the group. The client is to be closed after it.
func newGroup(cfg Config) (sarama.ConsumerGroup, sarama.Client, error) {
	config, err := consumerConfig(cfg)
	if err != nil {
		return nil, nil, err
	}
	client, err := sarama.NewClient(cfg.Brokers, config)
	if err != nil {
		return nil, nil, err
	}
	group, err := sarama.NewConsumerGroupFromClient(cfg.Group, patientClient{client})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return group, client, nil
}
