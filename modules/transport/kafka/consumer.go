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

// DeadLetters keeps records that are not updates, for an operator.
type DeadLetters interface {
	// DeadLetter keeps a record. It may be called again for the same topic, partition
	// and offset, and keeps the record once.
	DeadLetter(ctx context.Context, record *payrelayv1.UndecodableRecord) error
}

// Consumer is the far side of the mode kafka: a member of the consumer group that
// passes batches of records of one partition to an Applier, and commits their offsets
// after Apply has returned.
//
// It skips nothing. While the Applier fails, the batch is retried and its partition
// waits: an outage of the database must not turn payments into dead letters. An error
// that is fatal by Config.Fatal ends the consumer.
type Consumer struct {
	cfg         Config
	group       sarama.ConsumerGroup
	client      sarama.Client // used by group, which does not close it
	applier     payments.Applier
	deadLetters DeadLetters
	log         *slog.Logger
	joined      atomic.Bool
	claims      sync.Map                 // set of *claim: the partitions that are being consumed
	followers   sync.WaitGroup           // the goroutines that follow the ends of partitions
	assigned    atomic.Int64             // number of partitions assigned to this member
	oldest      map[topicPartition]int64 // their oldest offsets when the session began
	fail        context.CancelCauseFunc  // ends Run with an error
	expired     atomic.Int64
	fencedAt    atomic.Int64 // when fencing was last logged, in seconds of Unix time
}

// NewConsumer connects to the brokers. The caller must call Run once; it may do so
// with a cancelled context, only to close the connections.
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

// Run consumes until ctx is cancelled, and then waits a few seconds for the batches in
// flight to be applied and committed. It returns a fatal error of the Applier.
func (c *Consumer) Run(ctx context.Context) error {
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	c.fail = fail
	var logged sync.WaitGroup
	logged.Go(c.logErrors)
	c.consume(running)
	if err := c.group.Close(); err != nil {
		// Records whose offsets were not committed are consumed again.
		c.log.Warn("kafka consumer could not leave its group cleanly", "group", c.cfg.Group, "error", err)
	}
	logged.Wait()
	if err := c.client.Close(); err != nil {
		c.log.Warn("kafka consumer could not close its connections", "error", err)
	}
	c.followers.Wait() // which the closed connections end
	if ctx.Err() == nil {
		return fmt.Errorf("the kafka consumer stopped, the updates wait in Kafka, none is lost or skipped: %w", context.Cause(running))
	}
	return nil
}

func (c *Consumer) consume(ctx context.Context) {
	pause := transport.NewBackOff(50*time.Millisecond, 5*time.Second)
	for ctx.Err() == nil {
		// Consume returns nil at each rebalance, and has to be called again.
		if err := c.group.Consume(ctx, c.cfg.Names(), sessions{c}); err != nil && ctx.Err() == nil {
			c.warn("kafka consumer cannot join its group and retries", err)
			sleep(ctx, pause.NextBackOff())
			continue
		}
		pause.Reset()
	}
}

// fatal reports whether err needs an operator.
func (c *Consumer) fatal(err error) bool { return c.cfg.Fatal != nil && c.cfg.Fatal(err) }

// logErrors logs the errors of the library's goroutines until the group is closed.
func (c *Consumer) logErrors() {
	for err := range c.group.Errors() {
		c.warn("kafka consumer", err)
	}
}

// warn logs an error of the group. The error of a fenced static member, whose instance
// ID a newer process uses too, is logged at most once a minute, as an error for the
// operator. This process keeps trying to join, because it becomes the member again
// 10 s after the other one has stopped. If it ended, its restart would fence the other
// process, and so on.
func (c *Consumer) warn(message string, err error) {
	if !errors.Is(err, sarama.ErrFencedInstancedId) {
		c.log.Warn(message, "group", c.cfg.Group, "error", err)
		return
	}
	last, now := c.fencedAt.Load(), time.Now().Unix()
	if now-last >= 60 && c.fencedAt.CompareAndSwap(last, now) {
		c.log.Error("this process applies nothing, because another one is the same static member of the group: give each its own kafka-instance-id (KAFKA_INSTANCE_ID), or stop one",
			"instance", c.cfg.InstanceID, "error", err)
	}
}

// Ready reports whether the consumer is a member of its group. It is not a member
// during a rebalance, or when the brokers have been unreachable for long.
func (c *Consumer) Ready() bool { return c.joined.Load() }

// Lag returns how many records of this member's partitions are published and not yet
// applied. It is unknown while this process is not a member of the group, and while
// one of its partitions has no leader.
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

// Expired returns how many records were deleted before this process could apply them,
// since its start.
func (c *Consumer) Expired() int64 { return c.expired.Load() }

// PartitionLags calls yield for each partition that this member consumes, with the
// number of records that are published and not yet applied, or UnknownOffset.
func (c *Consumer) PartitionLags(yield func(topic string, partition int32, records int64)) {
	c.claims.Range(func(key, _ any) bool {
		claim := key.(*claim)
		yield(claim.partition.Topic(), claim.partition.Partition(), claim.lag())
		return true
	})
}

// Oldest returns the time at which the ingest role received the oldest update that this
// member has read and not yet applied. It is zero if there is none.
func (c *Consumer) Oldest() (received time.Time) {
	c.claims.Range(func(key, _ any) bool {
		if at := key.(*claim).received.Load(); at != 0 && (received.IsZero() || time.UnixMicro(at).Before(received)) {
			received = time.UnixMicro(at)
		}
		return true
	})
	return received
}

// sessions has the callbacks of the library, which are not for users of a Consumer.
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
	ctx, stop := context.WithCancel(session.Context())
	defer stop()
	// Run waits for it, because a request that is under way must not delay a rebalance.
	s.followers.Go(func() { c.follow(ctx) })
	for batch := range c.batches(session.Context()) {
		if err := c.process(session.Context(), batch); err != nil {
			if c.fatal(err) {
				c.fail(err)
			}
			return nil // the batch is consumed again, here or by another member
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

// patientClient lets a consumer continue with the partitions that have a leader. The
// library's client returns an error for a topic of which one partition has no leader,
// and with that error no member can join the group, or follow another partition to
// its new leader.
type patientClient struct{ sarama.Client }

// RefreshMetadata ignores a missing leader. Code that needs the leader of a partition
// asks for it, and gets the error then.
func (c patientClient) RefreshMetadata(topics ...string) error {
	err := c.Client.RefreshMetadata(topics...)
	if errors.Is(err, sarama.ErrLeaderNotAvailable) {
		return nil
	}
	return err
}

// newGroup connects a member of the group. The caller closes the group, and then
// the client.
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
