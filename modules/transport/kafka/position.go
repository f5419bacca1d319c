package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// lookTimeout bounds the look at the log that a session begins with.
const lookTimeout = 5 * time.Second

// topicPartition names a partition.
type topicPartition struct {
	topic     string
	partition int32
}

// position is where a group goes on in one partition, and what the log has there.
type position struct {
	topicPartition
	applied, oldest, newest int64
}

// examine compares where the group goes on with what the log has, before anything
// is consumed. The library would go on without a word in both of these cases:
//
//   - Records were deleted before they were applied, by a retention that is shorter
//     than an outage. They are lost here, and an operator has to know which.
//   - The log ends before what was applied: it has lost its tail, and what was
//     written there since may have been applied or not. All that it has is applied
//     again, which does no harm; otherwise the group would skip records until the
//     log has reached its old end.
//
// It returns the oldest records, as far as they are known.
func (c *Consumer) examine(session sarama.ConsumerGroupSession) (oldest map[topicPartition]int64) {
	ctx, cancel := context.WithTimeout(session.Context(), lookTimeout)
	defer cancel()
	positions, err := c.positions(ctx, session.Claims())
	if err != nil {
		c.log.Warn("kafka consumer cannot tell whether records were deleted before they were applied", "error", err)
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
			c.log.Error("records were deleted before they were applied: have their providers send them again, and raise the topic's retention", about...)
		case p.newest >= 0 && p.applied > p.newest:
			session.ResetOffset(p.topic, p.partition, max(p.oldest, 0), "")
			c.log.Error("the log has lost its end, where records were applied already: all that it has is applied again, and what is missing providers have to send again", about...)
		}
	}
	return oldest
}

// positions are those of the partitions that are ours now.
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
