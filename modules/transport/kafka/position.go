package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// lookTimeout bounds the requests that compare offsets at the start of a session.
const lookTimeout = 5 * time.Second

// topicPartition identifies a partition.
type topicPartition struct {
	topic     string
	partition int32
}

// position holds the offsets of one partition: that of the next record to apply, and
// the ends of the log.
type position struct {
	topicPartition
	applied, oldest, newest int64
}

// examine compares the committed offsets with the log before anything is consumed.
// The library continues without a message in two cases that an operator must know of:
//
//   - Records were deleted before they were applied, because the retention is shorter
//     than an outage was. They are lost here.
//   - The log ends before the committed offset: it has lost its tail. Records that were
//     written since may be unapplied, so the whole log is applied again, which is
//     harmless. Otherwise the group would skip records until the log reaches its old
//     end.
//
// It returns the oldest offsets, as far as they are known.
func (c *Consumer) examine(session sarama.ConsumerGroupSession) (oldest map[topicPartition]int64) {
	ctx, cancel := context.WithTimeout(session.Context(), lookTimeout)
	defer cancel()
	positions, err := c.positions(ctx, session.Claims())
	if err != nil {
		c.log.Warn("kafka consumer could not find out whether records were deleted before they were applied", "error", err)
		return nil
	}
	oldest = make(map[topicPartition]int64)
	for _, p := range positions {
		oldest[p.topicPartition] = p.oldest
		about := []any{"topic", p.topic, "partition", p.partition, "applied", p.applied, "oldest", p.oldest, "newest", p.newest}
		switch {
		case p.applied >= 0 && p.applied < p.oldest:
			c.expired.Add(p.oldest - p.applied)
			session.MarkOffset(p.topic, p.partition, p.oldest, "")
			c.log.Error("records were deleted before they were applied: have their providers send them again, and raise the retention of the topic", about...)
		case p.newest >= 0 && p.applied > p.newest:
			session.ResetOffset(p.topic, p.partition, max(p.oldest, 0), "")
			c.log.Error("the log has lost its end, beyond which records were applied already: the whole log is applied again; have the providers send again what is missing", about...)
		}
	}
	return oldest
}

// positions returns those of the partitions in claims.
func (c *Consumer) positions(ctx context.Context, claims map[string][]int32) (all []position, err error) {
	err = WithAdmin(ctx, c.cfg.ClusterConfig, func(admin sarama.ClusterAdmin) error {
		for topic, partitions := range claims {
			if len(partitions) == 0 {
				continue
			}
			read, err := readPositions(ctx, admin, c.cfg.Group, topic, partitions)
			if err != nil {
				return fmt.Errorf("topic %q: %w", topic, err)
			}
			all = append(all, read...)
		}
		return nil
	})
	return all, err
}

func readPositions(ctx context.Context, admin sarama.ClusterAdmin, group, topic string, partitions []int32) ([]position, error) {
	// The brokers are asked about all partitions up to the last one.
	n := int(slices.Max(partitions)) + 1
	applied, err := AppliedOffsets(ctx, admin, group, topic, n)
	if err != nil {
		return nil, err
	}
	oldest, err := OffsetsAt(admin, topic, n, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	newest, err := OffsetsAt(admin, topic, n, sarama.OffsetNewest)
	if err != nil {
		return nil, err
	}
	positions := make([]position, len(partitions))
	for i, n := range partitions {
		positions[i] = position{topicPartition{topic, n}, applied[n], oldest[n], newest[n]}
	}
	return positions, nil
}
