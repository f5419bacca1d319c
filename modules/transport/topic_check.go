package transport

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// CopiesConfig says what an acknowledgement has to be worth.
type CopiesConfig struct {
	// MinCopies is in how many copies each acknowledged record has to be.
	MinCopies int
}

// RegisterFlags declares the flag of those who judge topics. What is set before
// is its default.
func (c *CopiesConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.IntVar(&c.MinCopies, "kafka-min-copies", max(c.MinCopies, 1), "refuse topics that acknowledge a record before `KAFKA_MIN_COPIES` brokers have it")
}

// Validate tells how to mend a number that means nothing.
func (c CopiesConfig) Validate() error {
	if c.MinCopies < 0 {
		return fmt.Errorf("kafka-min-copies (KAFKA_MIN_COPIES) is %d: it must be at least 1, or 0 to allow unclean elections", c.MinCopies)
	}
	return nil
}

// Copies is in how many replicas an acknowledged record is, at least. It is 0
// with unclean elections: a replica without the record may be made the leader,
// and then even those that have it drop it.
func (t Topic) Copies() int {
	if t.UncleanElection && t.Replicas() > 1 {
		return 0
	}
	return max(min(t.MinInSync, t.Replicas()), min(1, t.Replicas()))
}

// errFewCopies says that a start has to be refused.
var errFewCopies = errors.New("acknowledged records are not safe enough")

// checkCopies says how to mend a topic that acknowledges too early.
func (c CopiesConfig) checkCopies(t Topic) error {
	switch copies := t.Copies(); {
	case copies >= c.MinCopies:
		return nil
	case copies == 0:
		return fmt.Errorf("%w: topic %q has %s=true, which drops acknowledged records: set it to false, or allow it with --kafka-min-copies 0", errFewCopies, t.Name, uncleanElection)
	default:
		return fmt.Errorf("%w: topic %q acknowledges a record once %d of its brokers have it (replication factor %d, %s %d), and kafka-min-copies (KAFKA_MIN_COPIES) is %d: raise %s of the topic, and its replication factor above that",
			errFewCopies, t.Name, copies, t.Replicas(), minInSyncReplicas, t.MinInSync, c.MinCopies, minInSyncReplicas)
	}
}

// shortRetention is what an outage may well take, such as a long weekend.
const shortRetention = 4 * 24 * time.Hour

// Weaknesses say what in the topic's settings deletes or refuses updates.
func (t Topic) Weaknesses() []string {
	var all []string
	found := func(yes bool, format string, args ...any) {
		if yes {
			all = append(all, fmt.Sprintf("topic %q ", t.Name)+fmt.Sprintf(format, args...))
		}
	}
	found(t.MinInSync > t.Replicas(), "has %s %d and replication factor %d, so no record is ever acknowledged: lower the first or raise the second", minInSyncReplicas, t.MinInSync, t.Replicas())
	found(t.compacted(), "has %s=%s, which keeps one update of each order: set it to delete", cleanupPolicy, t.CleanupPolicy)
	found(t.RetentionBytes >= 0, "has %s=%d, which deletes the sooner the more is waiting to be applied: set it to -1", retentionBytes, t.RetentionBytes)
	found(t.Retention >= 0 && t.Retention < shortRetention, "deletes records after %v, applied or not, so an api role that is away for longer loses them: raise %s", t.Retention, retentionTime)
	found(t.MaxMessageBytes < producerMaxBytes, "has %s=%d and refuses batches that ingest sends: set it to %d", maxMessageBytes, t.MaxMessageBytes, minMessageBytes)
	return all
}

// Leaderless and UnderReplicated are the numbers of the partitions that nobody
// serves, and of those that lack a replica at the moment.
func (t Topic) Leaderless() []int32 {
	return t.partitions(func(p Partition) bool { return p.Leader < 0 })
}

// UnderReplicated is documented with Leaderless.
func (t Topic) UnderReplicated() []int32 {
	return t.partitions(func(p Partition) bool { return len(p.InSync) < len(p.Replicas) })
}

func (t Topic) partitions(are func(Partition) bool) []int32 {
	var numbers []int32
	for i, p := range t.Partitions {
		if are(p) {
			numbers = append(numbers, int32(i))
		}
	}
	return numbers
}

// TopicReport is a topic, and how far the consumer group has come in it.
type TopicReport struct {
	Topic
	Progress []Progress // by partition
}

// Problems say what is unsafe now, and how to mend it.
func (r TopicReport) Problems(cfg CopiesConfig) []string {
	all := r.Weaknesses()
	if err := cfg.checkCopies(r.Topic); err != nil {
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

// CheckTopics reports on both topics and on what the group has applied of them.
// What it is given has to be valid.
func CheckTopics(ctx context.Context, cluster ClusterConfig, topics TopicConfig) ([]TopicReport, error) {
	var reports []TopicReport
	err := withAdmin(ctx, cluster, func(admin sarama.ClusterAdmin) error {
		for _, name := range topics.Names() {
			report, err := checkTopic(ctx, admin, name, topics.Group)
			if err != nil {
				return err
			}
			reports = append(reports, report)
		}
		return nil
	})
	return reports, err
}

func checkTopic(ctx context.Context, admin sarama.ClusterAdmin, name, group string) (TopicReport, error) {
	topic, err := describeTopic(admin, name)
	if err != nil {
		return TopicReport{}, err
	}
	if err := topic.readSettings(admin); err != nil {
		return TopicReport{}, err
	}
	progress, err := readProgress(ctx, admin, group, topic, time.Now())
	return TopicReport{topic, progress}, err
}
