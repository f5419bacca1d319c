package topics

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// Progress is how far a consumer group has come in one partition. Each offset
// is that of the next record, or one of the two above.
type Progress struct {
	// Applied is what the group has committed.
	Applied int64
	// Oldest and Newest are what the partition still has, and where it ends.
	Oldest, Newest int64
	// Aged is where the records begin that have most of the topic's retention
	// before them. There is none if nothing expires.
	Aged int64
}

// next is the first record that is still to be applied.
func (p Progress) next() int64 {
	if p.Applied == kafka.UnknownOffset {
		return kafka.UnknownOffset
	}
	return max(p.Applied, p.Oldest)
}

// Lag is how many records wait to be applied, or kafka.UnknownOffset.
func (p Progress) Lag() int64 {
	if p.Newest < 0 || p.next() < 0 {
		return kafka.UnknownOffset
	}
	return max(p.Newest-p.next(), 0)
}

// problem says what retention has done or is about to do, or nothing.
func (p Progress) problem() string {
	switch {
	case p.Applied >= 0 && p.Oldest > p.Applied:
		return fmt.Sprintf("%d records were deleted before they were applied: have their providers send them again", p.Oldest-p.Applied)
	case p.Newest >= 0 && p.Applied > p.Newest:
		return fmt.Sprintf("the log ends at %d, but the group has applied up to %d: it has lost its end, and the api role will apply all of it again", p.Newest, p.Applied)
	case p.next() >= 0 && p.Aged > p.next():
		return fmt.Sprintf("%d records have waited for more than half of the topic's retention, and will be deleted: let the api role apply them, or raise %s", p.Aged-p.next(), kafka.SettingRetentionTime)
	case p.Applied == kafka.UnknownOffset:
		return "the brokers do not tell how far the group has come: check again, and look into their logs if that lasts"
	default:
		return ""
	}
}

// readProgress asks the brokers about every partition of a topic.
func readProgress(ctx context.Context, admin sarama.ClusterAdmin, group string, topic kafka.Topic, now time.Time) ([]Progress, error) {
	applied, err := kafka.AppliedOffsets(ctx, admin, group, topic.Name, len(topic.Partitions))
	if err != nil {
		return nil, fmt.Errorf("ask the brokers for the offsets of group %q: %w", group, err)
	}
	oldest, err := kafka.OffsetsAt(admin, topic.Name, len(topic.Partitions), sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	// The end after what was applied of it, and before what is old in it: what is
	// published meanwhile must not look lost, nor old.
	newest, err := kafka.OffsetsAt(admin, topic.Name, len(topic.Partitions), sarama.OffsetNewest)
	if err != nil {
		return nil, err
	}
	aged, err := agedOffsets(admin, topic, now)
	if err != nil {
		return nil, err
	}
	progress := make([]Progress, len(topic.Partitions))
	for i := range progress {
		progress[i] = Progress{Applied: applied[i], Oldest: oldest[i], Newest: newest[i], Aged: aged[i]}
		if topic.Retention >= 0 && aged[i] == kafka.NoOffset {
			progress[i].Aged = newest[i] // no record is younger
		}
	}
	return progress, nil
}

// agedOffsets are where the younger half of what retention allows begins.
func agedOffsets(admin sarama.ClusterAdmin, topic kafka.Topic, now time.Time) ([]int64, error) {
	if topic.Retention < 0 {
		return slices.Repeat([]int64{kafka.NoOffset}, len(topic.Partitions)), nil
	}
	return kafka.OffsetsAt(admin, topic.Name, len(topic.Partitions), now.Add(-topic.Retention/2).UnixMilli())
}
