package topics

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// Report describes a topic, and how far the consumer group has applied it.
type Report struct {
	kafka.Topic
	Brokers  int        // number of brokers of the cluster that run
	Progress []Progress // indexed by the number of the partition
}

// Problems returns a sentence for each problem, which explains how to fix it.
func (r Report) Problems(cfg kafka.CopiesConfig) []string {
	all := r.Weaknesses()
	if err := cfg.Check(r.Topic); err != nil {
		all = append(all, err.Error())
	}
	if none := r.Leaderless(); len(none) > 0 {
		all = append(all, fmt.Sprintf("topic %q has no leader for the partitions %v: start the brokers that have them", r.Name, none))
	}
	if lacking := r.UnderReplicated(); len(lacking) > 0 {
		all = append(all, fmt.Sprintf("topic %q lacks replicas of the partitions %v: start the brokers that have them, or wait until they have caught up", r.Name, lacking))
	}
	for i, p := range r.Progress {
		if problem := p.problem(); problem != "" {
			all = append(all, fmt.Sprintf("topic %q, partition %d: %s", r.Name, i, problem))
		}
	}
	return all
}

// Check reports on both topics and on what the consumer group has applied of them. The
// configurations must be valid.
func Check(ctx context.Context, cluster kafka.ClusterConfig, topics kafka.TopicConfig) ([]Report, error) {
	var reports []Report
	err := kafka.WithAdmin(ctx, cluster, func(admin sarama.ClusterAdmin) error {
		brokers, _, err := admin.DescribeCluster()
		if err != nil {
			return fmt.Errorf("count the brokers: %w", err)
		}
		for _, name := range topics.Names() {
			report, err := checkTopic(ctx, admin, name, topics.Group)
			if err != nil {
				return err
			}
			report.Brokers = len(brokers)
			reports = append(reports, report)
		}
		return nil
	})
	return reports, err
}

func checkTopic(ctx context.Context, admin sarama.ClusterAdmin, name, group string) (Report, error) {
	topic, err := kafka.DescribeTopic(admin, name)
	if err != nil {
		return Report{}, err
	}
	progress, err := readProgress(ctx, admin, group, topic, time.Now())
	return Report{Topic: topic, Progress: progress}, err
}

// Progress holds how far a consumer group has applied one partition. Each field is the
// offset of the next record, kafka.NoOffset or kafka.UnknownOffset.
type Progress struct {
	// Applied is the committed offset of the group.
	Applied int64
	// Oldest is the first record of the partition, and Newest the end.
	Oldest, Newest int64
	// Aged is the first record that is younger than half of the topic's retention. It
	// is kafka.NoOffset if nothing expires.
	Aged int64
}

// next returns the first record that is still to be applied.
func (p Progress) next() int64 {
	if p.Applied == kafka.UnknownOffset {
		return kafka.UnknownOffset
	}
	return max(p.Applied, p.Oldest)
}

// Lag returns how many records wait to be applied, or kafka.UnknownOffset.
func (p Progress) Lag() int64 {
	if p.Newest < 0 || p.next() < 0 {
		return kafka.UnknownOffset
	}
	return max(p.Newest-p.next(), 0)
}

// problem returns a sentence about records that are lost or about to be, or "".
func (p Progress) problem() string {
	switch {
	case p.Applied >= 0 && p.Oldest > p.Applied:
		return fmt.Sprintf("%d records were deleted before they were applied: have their providers send them again", p.Oldest-p.Applied)
	case p.Newest >= 0 && p.Applied > p.Newest:
		return fmt.Sprintf("the log ends at %d, but the group has applied up to %d: it has lost its end, and the api role will apply all of the log again", p.Newest, p.Applied)
	case p.next() >= 0 && p.Aged > p.next():
		return fmt.Sprintf("%d records have waited for more than half of the topic's retention, and will be deleted: let the api role apply them, or raise %s", p.Aged-p.next(), kafka.SettingRetentionTime)
	case p.Applied == kafka.UnknownOffset:
		return "the brokers do not return the offset of the group: check again, and read their logs if that lasts"
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
	// The order matters: the end is read after the applied offsets and before the aged
	// ones, so that records published meanwhile look neither lost nor old.
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

// agedOffsets returns the first records that are younger than half of the retention.
func agedOffsets(admin sarama.ClusterAdmin, topic kafka.Topic, now time.Time) ([]int64, error) {
	if topic.Retention < 0 {
		return slices.Repeat([]int64{kafka.NoOffset}, len(topic.Partitions)), nil
	}
	return kafka.OffsetsAt(admin, topic.Name, len(topic.Partitions), now.Add(-topic.Retention/2).UnixMilli())
}
