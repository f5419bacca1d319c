package topics

import (
	"context"
	"fmt"
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

// Problems returns a sentence for each problem, which says how to fix it.
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
			return fmt.Errorf("ask the brokers how many they are: %w", err)
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
