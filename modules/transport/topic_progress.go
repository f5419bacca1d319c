package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// What stands in the place of an offset.
const (
	// NoOffset says that there is none, such as for a group that never committed.
	NoOffset = -1
	// UnknownOffset says that the brokers do not tell, such as without a leader.
	UnknownOffset = -2
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
	if p.Applied == UnknownOffset {
		return UnknownOffset
	}
	return max(p.Applied, p.Oldest)
}

// Lag is how many records wait to be applied, or UnknownOffset.
func (p Progress) Lag() int64 {
	if p.Newest < 0 || p.next() < 0 {
		return UnknownOffset
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
		return fmt.Sprintf("%d records have waited for more than half of the topic's retention, and will be deleted: let the api role apply them, or raise %s", p.Aged-p.next(), retentionTime)
	case p.Applied == UnknownOffset:
		return "the brokers do not tell how far the group has come: check again, and look into their logs if that lasts"
	default:
		return ""
	}
}

// readProgress asks the brokers about every partition of a topic.
func readProgress(ctx context.Context, admin sarama.ClusterAdmin, group string, topic Topic, now time.Time) ([]Progress, error) {
	applied, err := appliedOffsets(ctx, admin, group, topic)
	if err != nil {
		return nil, fmt.Errorf("ask the brokers for the offsets of group %q: %w", group, err)
	}
	oldest, err := offsetsAt(admin, topic, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	// The end after what was applied of it, and before what is old in it: what is
	// published meanwhile must not look lost, nor old.
	newest, err := offsetsAt(admin, topic, sarama.OffsetNewest)
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
		if topic.Retention >= 0 && aged[i] == NoOffset {
			progress[i].Aged = newest[i] // no record is younger
		}
	}
	return progress, nil
}

func appliedOffsets(ctx context.Context, admin sarama.ClusterAdmin, group string, topic Topic) ([]int64, error) {
	numbers := topic.partitions(func(Partition) bool { return true })
	answer, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic.Name: numbers})
	// A broker that has just become the group's coordinator reads its log first.
	for errors.Is(err, sarama.ErrOffsetsLoadInProgress) && ctx.Err() == nil {
		sleep(ctx, 100*time.Millisecond)
		answer, err = admin.ListConsumerGroupOffsets(group, map[string][]int32{topic.Name: numbers})
	}
	if err != nil && !errors.Is(err, sarama.ErrGroupIDNotFound) {
		return nil, err
	}
	offsets := make([]int64, len(numbers))
	for i := range offsets {
		offsets[i] = UnknownOffset
		if err != nil {
			offsets[i] = NoOffset // the group does not exist yet
			continue
		}
		if block := answer.GetBlock(topic.Name, int32(i)); block != nil && block.Err == sarama.ErrNoError {
			offsets[i] = block.Offset
		}
	}
	return offsets, nil
}

// agedOffsets are where the younger half of what retention allows begins.
func agedOffsets(admin sarama.ClusterAdmin, topic Topic, now time.Time) ([]int64, error) {
	if topic.Retention < 0 {
		return slices.Repeat([]int64{NoOffset}, len(topic.Partitions)), nil
	}
	return offsetsAt(admin, topic, now.Add(-topic.Retention/2).UnixMilli())
}

// offsetsAt are the offsets at a time in ms, or at one of the two ends of each
// partition: NoOffset where no record is that young, UnknownOffset where no leader
// tells.
func offsetsAt(admin sarama.ClusterAdmin, topic Topic, at int64) ([]int64, error) {
	question := make(map[int32]int64)
	for i := range topic.Partitions {
		question[int32(i)] = at
	}
	answer, err := admin.ListOffsets(map[string]map[int32]int64{topic.Name: question}, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the brokers for the offsets of topic %q: %w", topic.Name, err)
	}
	offsets := make([]int64, len(topic.Partitions))
	for i := range offsets {
		offsets[i] = UnknownOffset
		if result := answer[topic.Name][int32(i)]; result != nil && (result.Err == nil || errors.Is(result.Err, sarama.ErrNoError)) {
			offsets[i] = result.Offset
		}
	}
	return offsets, nil
}
