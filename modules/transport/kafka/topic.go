package kafka

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Topic is what the brokers say about a topic.
type Topic struct {
	Name       string
	Partitions []Partition // by their number, which is their index
	// MinInSync is how many replicas must have a record before it counts as
	// acknowledged.
	MinInSync int
	// UncleanElection lets a replica that lacks acknowledged records become the
	// leader, and then they are gone.
	UncleanElection bool
	// CleanupPolicy is "delete", or has "compact" in it.
	CleanupPolicy string
	// Retention and RetentionBytes are how long and how much a partition keeps,
	// whether it was applied or not; below 0 is for ever and everything.
	Retention      time.Duration
	RetentionBytes int64
	// MaxMessageBytes bounds one batch of records.
	MaxMessageBytes int
}

// Partition is where the replicas of one partition are.
type Partition struct {
	Leader   int32   // the broker's id, below 0 if there is none
	Replicas []int32 // ids of the brokers that should have a copy
	InSync   []int32 // ids of those that have everything
}

// Replicas is how many copies the partition with the fewest is meant to have.
func (t Topic) Replicas() int {
	if len(t.Partitions) == 0 {
		return 0
	}
	fewest := len(t.Partitions[0].Replicas)
	for _, p := range t.Partitions {
		fewest = min(fewest, len(p.Replicas))
	}
	return fewest
}

// The names that Kafka has for a topic's settings.
const (
	SettingMinInSyncReplicas = "min.insync.replicas"
	SettingUncleanElection   = "unclean.leader.election.enable"
	SettingCleanupPolicy     = "cleanup.policy"
	SettingRetentionTime     = "retention.ms"
	SettingRetentionBytes    = "retention.bytes"
	SettingMaxMessageBytes   = "max.message.bytes"
)

// MinMessageBytes is Kafka's own default, and room for the largest batch of the
// producer.
const MinMessageBytes = 1<<20 + 12

// ErrNoTopic says that the brokers do not have a topic.
var ErrNoTopic = errors.New("does not exist on the Kafka brokers: create it with app topics create, or name another with --kafka-orders-topic and --kafka-disputes-topic")

// DescribeTopic returns the topic of that name with its settings. The error wraps
// ErrNoTopic if it does not exist.
func DescribeTopic(admin sarama.ClusterAdmin, name string) (Topic, error) {
	topic, err := describeTopic(admin, name)
	if err != nil {
		return Topic{}, err
	}
	return topic, topic.readSettings(admin)
}

// describeTopic is the topic of that name without its settings, or ErrNoTopic.
func describeTopic(admin sarama.ClusterAdmin, name string) (Topic, error) {
	found, err := admin.DescribeTopics([]string{name})
	if err == nil && len(found) == 1 && found[0].Err != sarama.ErrNoError {
		err = found[0].Err
	}
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return Topic{}, fmt.Errorf("topic %q %w", name, ErrNoTopic)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return Topic{}, fmt.Errorf("topic %q: %w: this user may not see it: let it write to it for ingest, or read it for api: %w", name, errRefused, err)
	case err != nil:
		return Topic{}, fmt.Errorf("ask the brokers for topic %q: %w", name, err)
	case len(found) != 1:
		return Topic{}, fmt.Errorf("ask the brokers for topic %q: they told of %d topics", name, len(found))
	}
	topic := Topic{Name: name, Partitions: make([]Partition, len(found[0].Partitions))}
	for _, p := range found[0].Partitions {
		if int(p.ID) >= len(topic.Partitions) {
			return Topic{}, fmt.Errorf("ask the brokers for topic %q: they told of partition %d and not of all below it", name, p.ID)
		}
		topic.Partitions[p.ID] = Partition{Leader: p.Leader, Replicas: p.Replicas, InSync: p.Isr}
	}
	return topic, nil
}

// readSettings fills in what describeTopic leaves out.
func (t *Topic) readSettings(admin sarama.ClusterAdmin) error {
	resource := &sarama.ConfigResource{Type: sarama.TopicResource, Name: t.Name, ConfigNames: []string{
		SettingMinInSyncReplicas, SettingUncleanElection, SettingCleanupPolicy, SettingRetentionTime, SettingRetentionBytes, SettingMaxMessageBytes,
	}}
	results, err := admin.DescribeConfigs([]*sarama.ConfigResource{resource}, sarama.DescribeConfigsOptions{})
	if err == nil && len(results) != 1 {
		err = fmt.Errorf("they answered for %d topics", len(results))
	}
	if err == nil && results[0].ErrorCode != sarama.ErrNoError {
		err = results[0].ErrorCode
	}
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return fmt.Errorf("topic %q %w", t.Name, ErrNoTopic)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return fmt.Errorf("let this user describe the settings of topic %q: %w", t.Name, err)
	case err != nil:
		return fmt.Errorf("ask the brokers for the settings of topic %q: %w", t.Name, err)
	}
	settings := make(map[string]string)
	for _, entry := range results[0].Configs {
		settings[entry.Name] = entry.Value
	}
	return t.parseSettings(settings)
}

// errUntold says that these brokers do not have a setting. What none of them
// tells is not known, and not what would be the harmless value.
var errUntold = errors.New("the brokers do not tell")

func (t *Topic) parseSettings(settings map[string]string) error {
	var wrong error
	text := func(name string) string {
		value, told := settings[name]
		if !told && wrong == nil {
			wrong = fmt.Errorf("%w the setting %s of topic %q", errUntold, name, t.Name)
		}
		return value
	}
	number := func(name string) int64 {
		n, err := strconv.ParseInt(text(name), 10, 64)
		if err != nil && wrong == nil {
			wrong = fmt.Errorf("topic %q has the setting %s=%q, which is no number", t.Name, name, settings[name])
		}
		return n
	}
	t.MinInSync = int(number(SettingMinInSyncReplicas))
	t.MaxMessageBytes = int(number(SettingMaxMessageBytes))
	t.RetentionBytes = number(SettingRetentionBytes)
	t.Retention = milliseconds(number(SettingRetentionTime))
	t.UncleanElection = settings[SettingUncleanElection] == "true"
	if t.Replicas() > 1 { // else nobody stands for election
		text(SettingUncleanElection)
	}
	t.CleanupPolicy = text(SettingCleanupPolicy)
	return wrong
}

// milliseconds does not overflow: some write "for ever" as the largest number.
func milliseconds(ms int64) time.Duration {
	if ms < 0 || ms > int64(time.Duration(1<<63-1)/time.Millisecond) {
		return -time.Millisecond // as Kafka writes it
	}
	return time.Duration(ms) * time.Millisecond
}

func (t Topic) compacted() bool { return strings.Contains(t.CleanupPolicy, "compact") }

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

// Check says how to mend a topic that acknowledges too early.
func (c CopiesConfig) Check(t Topic) error {
	switch copies := t.Copies(); {
	case copies >= c.MinCopies:
		return nil
	case copies == 0:
		return fmt.Errorf("%w: topic %q has %s=true, which drops acknowledged records: set it to false, or allow it with --kafka-min-copies 0", errFewCopies, t.Name, SettingUncleanElection)
	default:
		return fmt.Errorf("%w: topic %q acknowledges a record once %d of its brokers have it (replication factor %d, %s %d), and kafka-min-copies (KAFKA_MIN_COPIES) is %d: raise %s of the topic, and its replication factor above that",
			errFewCopies, t.Name, copies, t.Replicas(), SettingMinInSyncReplicas, t.MinInSync, c.MinCopies, SettingMinInSyncReplicas)
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
	found(t.MinInSync > t.Replicas(), "has %s %d and replication factor %d, so no record is ever acknowledged: lower the first or raise the second", SettingMinInSyncReplicas, t.MinInSync, t.Replicas())
	found(t.compacted(), "has %s=%s, which keeps one update of each order: set it to delete", SettingCleanupPolicy, t.CleanupPolicy)
	found(t.RetentionBytes >= 0, "has %s=%d, which deletes the sooner the more is waiting to be applied: set it to -1", SettingRetentionBytes, t.RetentionBytes)
	found(t.Retention >= 0 && t.Retention < shortRetention, "deletes records after %v, applied or not, so an api role that is away for longer loses them: raise %s", t.Retention, SettingRetentionTime)
	found(t.MaxMessageBytes < producerMaxBytes, "has %s=%d and refuses batches that ingest sends: set it to %d", SettingMaxMessageBytes, t.MaxMessageBytes, MinMessageBytes)
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
