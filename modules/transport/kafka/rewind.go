package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// GroupOffset is the offset of the first record of a partition that is not applied.
type GroupOffset struct {
	Topic     string
	Partition int32
	Offset    int64
}

// GroupOffsets returns the committed offsets of the group for all partitions of the
// topics, and the beginning of the log where it has committed none.
func GroupOffsets(ctx context.Context, cluster ClusterConfig, topics TopicConfig) (all []GroupOffset, err error) {
	err = WithAdmin(ctx, cluster, func(admin sarama.ClusterAdmin) error {
		positions, err := allPositions(ctx, admin, topics)
		for _, p := range positions {
			if p.applied == UnknownOffset {
				return fmt.Errorf("the offset of group %q in topic %q, partition %d, is unknown: try again when the partition has a leader", topics.Group, p.topic, p.partition)
			}
			if p.applied == NoOffset {
				p.applied = p.oldest
			}
			all = append(all, GroupOffset{p.topic, p.partition, max(p.applied, 0)})
		}
		return err
	})
	return all, err
}

// ClusterID returns the id of a cluster or embedded broker, which is the same for as long
// as it keeps its data, or nothing if it has none.
func ClusterID(ctx context.Context, cfg ClusterConfig, topics TopicConfig) (id string, err error) {
	err = WithAdmin(ctx, cfg, func(admin sarama.ClusterAdmin) error {
		config, err := adminConfig(ctx, cfg)
		if err != nil {
			return err
		}
		broker, err := admin.Controller()
		if err != nil {
			return fmt.Errorf("find a broker of the Kafka cluster: %w", err)
		}
		answer, err := broker.GetMetadata(sarama.NewMetadataRequest(config.Version, topics.Names()))
		if err != nil {
			return fmt.Errorf("ask a Kafka broker for the id of its cluster: %w", err)
		}
		if answer.ClusterID != nil {
			id = *answer.ClusterID
		}
		return nil
	})
	return id, err
}

func allPositions(ctx context.Context, admin sarama.ClusterAdmin, topics TopicConfig) (all []position, err error) {
	for _, name := range topics.Names() {
		topic, err := describeTopic(admin, name)
		if err != nil {
			return nil, err
		}
		partitions := make([]int32, len(topic.Partitions))
		for i := range partitions {
			partitions[i] = int32(i)
		}
		read, err := readPositions(ctx, admin, topics.Group, name, partitions)
		if err != nil {
			return nil, fmt.Errorf("topic %q: %w", name, err)
		}
		all = append(all, read...)
	}
	return all, nil
}

// OffsetsSince returns the offsets of the first records from a time on. A partition
// without one is omitted.
func OffsetsSince(ctx context.Context, cluster ClusterConfig, topics TopicConfig, since time.Time) (all []GroupOffset, err error) {
	err = WithAdmin(ctx, cluster, func(admin sarama.ClusterAdmin) error {
		for _, name := range topics.Names() {
			topic, err := describeTopic(admin, name)
			if err != nil {
				return err
			}
			offsets, err := OffsetsAt(admin, name, len(topic.Partitions), since.UnixMilli())
			if err != nil {
				return err
			}
			for i, offset := range offsets {
				if offset == UnknownOffset {
					return fmt.Errorf("topic %q, partition %d has no leader: try again when it has one", name, i)
				}
				if offset >= 0 {
					all = append(all, GroupOffset{name, int32(i), offset})
				}
			}
		}
		return nil
	})
	return all, err
}

// Rewound is a partition in which the group was set back.
type Rewound struct {
	GroupOffset
	// Committed was the offset of the group before.
	Committed int64
	// Missing is the number of records between the wanted offset and the beginning of
	// the log, which retention has deleted. They cannot be applied again.
	Missing int64
}

// Again returns the number of records that are applied again.
func (r Rewound) Again() int64 { return max(r.Committed-r.Offset-r.Missing, 0) }

// ErrHasMembers means that a group cannot be set back, because it has members.
var ErrHasMembers = errors.New("the consumer group has members: stop all api processes; one that was killed, or has a kafka-instance-id, remains a member for 10 s")

// CheckEmpty returns ErrHasMembers if the group has members. The embedded broker does not
// answer it.
func CheckEmpty(ctx context.Context, cluster ClusterConfig, group string) error {
	return WithAdmin(ctx, cluster, func(admin sarama.ClusterAdmin) error {
		groups, err := admin.DescribeConsumerGroups([]string{group})
		if err != nil {
			return fmt.Errorf("ask the brokers for group %q: %w", group, err)
		}
		for _, g := range groups {
			if len(g.Members) > 0 {
				return fmt.Errorf("set group %q back: %w", group, ErrHasMembers)
			}
		}
		return nil
	})
}

// Rewind sets the group of cfg back to offsets. A partition whose committed offset is not
// after the wanted one is left unchanged, and is not in the result. The static member of
// cfg, which is the process before this one, is removed from the group. The error is
// ErrHasMembers if there are others.
func Rewind(ctx context.Context, cfg Config, to []GroupOffset) (changed []Rewound, err error) {
	err = WithAdmin(ctx, cfg.ClusterConfig, func(admin sarama.ClusterAdmin) error {
		current, err := allPositions(ctx, admin, cfg.TopicConfig)
		if err != nil {
			return err
		}
		changed = rewound(current, to)
		if len(changed) == 0 {
			return nil
		}
		if cfg.InstanceID != "" {
			// A group that does not have this member is not an error.
			_, _ = admin.RemoveMemberFromConsumerGroup(cfg.Group, []string{cfg.InstanceID})
		}
		return commitFor(ctx, cfg, changed)
	})
	if err != nil {
		return nil, fmt.Errorf("set group %q back: %w", cfg.Group, err)
	}
	return changed, nil
}

func rewound(current []position, to []GroupOffset) (changed []Rewound) {
	for _, want := range to {
		for _, p := range current {
			if p.topic != want.Topic || p.partition != want.Partition || p.applied <= want.Offset {
				continue
			}
			changed = append(changed, Rewound{want, p.applied, max(min(p.oldest, p.applied)-want.Offset, 0)})
		}
	}
	return changed
}

// commitFor commits offsets for a group without members.
func commitFor(ctx context.Context, cfg Config, changed []Rewound) error {
	config, err := adminConfig(ctx, cfg.ClusterConfig)
	if err != nil {
		return err
	}
	client, err := sarama.NewClient(cfg.Brokers, config)
	if err != nil {
		return connectError(cfg.ClusterConfig, err)
	}
	defer client.Close()
	coordinator, err := client.Coordinator(cfg.Group)
	if err != nil {
		return fmt.Errorf("find its coordinator: %w", err)
	}
	request := sarama.NewOffsetCommitRequest(config, cfg.Group)
	for _, r := range changed {
		request.AddBlock(r.Topic, r.Partition, r.Offset+r.Missing, 0, "")
	}
	answer, err := coordinator.CommitOffset(request)
	if err != nil {
		return err
	}
	for topic, partitions := range answer.Errors {
		for partition, code := range partitions {
			switch code {
			case sarama.ErrNoError:
			case sarama.ErrUnknownMemberId, sarama.ErrIllegalGeneration, sarama.ErrRebalanceInProgress, sarama.ErrFencedInstancedId, sarama.ErrNonEmptyGroup:
				return ErrHasMembers
			default:
				return fmt.Errorf("commit for topic %q, partition %d: %w", topic, partition, code)
			}
		}
	}
	return nil
}

// RewindWhenEmpty is Rewind that waits until the group has no members, or ctx ends.
func RewindWhenEmpty(ctx context.Context, cfg Config, to []GroupOffset) (changed []Rewound, err error) {
	for {
		changed, err = Rewind(ctx, cfg, to)
		if !errors.Is(err, ErrHasMembers) {
			return changed, err
		}
		sleep(ctx, 500*time.Millisecond)
		if ctx.Err() != nil {
			return nil, err
		}
	}
}
