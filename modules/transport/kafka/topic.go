package kafka

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Topic describes a topic and its settings.
type Topic struct {
	Name       string
	Partitions []Partition // indexed by their number
	// MinInSync is how many replicas must have a record before it is acknowledged.
	MinInSync int
	// UncleanElection lets a replica that lacks acknowledged records become the leader,
	// and then they are lost.
	UncleanElection bool
	// CleanupPolicy is "delete", "compact" or both.
	CleanupPolicy string
	// Retention and RetentionBytes limit what a partition keeps, by age and by size,
	// whether it was applied or not. A negative value means no limit.
	Retention      time.Duration
	RetentionBytes int64
	// MaxMessageBytes is the largest batch of records.
	MaxMessageBytes int
}

// Partition holds where the replicas of one partition are.
type Partition struct {
	Leader   int32   // id of a broker, or negative if there is no leader
	Replicas []int32 // ids of the brokers that are to have a copy
	InSync   []int32 // ids of those whose copy is complete
}

// Replicas returns the replication factor, the smallest one if partitions differ.
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

// Kafka's names for the settings of a topic.
const (
	SettingMinInSyncReplicas = "min.insync.replicas"
	SettingUncleanElection   = "unclean.leader.election.enable"
	SettingCleanupPolicy     = "cleanup.policy"
	SettingRetentionTime     = "retention.ms"
	SettingRetentionBytes    = "retention.bytes"
	SettingMaxMessageBytes   = "max.message.bytes"
)

// MinMessageBytes is Kafka's default for the largest batch, enough for the producer.
const MinMessageBytes = 1<<20 + 12

// ErrNoTopic means that the brokers do not have a topic.
var ErrNoTopic = errors.New("does not exist on the Kafka brokers: create it with app topics create, or name another with --kafka-orders-topic and --kafka-disputes-topic")

// DescribeTopic returns the topic of that name with its settings, or an error that
// wraps ErrNoTopic.
func DescribeTopic(admin sarama.ClusterAdmin, name string) (Topic, error) {
	topic, err := describeTopic(admin, name)
	if err != nil {
		return Topic{}, err
	}
	return topic, topic.readSettings(admin)
}

// describeTopic is DescribeTopic without the settings.
func describeTopic(admin sarama.ClusterAdmin, name string) (Topic, error) {
	found, err := admin.DescribeTopics([]string{name})
	if err == nil && len(found) == 1 && found[0].Err != sarama.ErrNoError {
		err = found[0].Err
	}
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return Topic{}, fmt.Errorf("topic %q %w", name, ErrNoTopic)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return Topic{}, fmt.Errorf("topic %q: %w: this user may not see the topic: allow it Write for ingest, or Read for api: %w", name, errRefused, err)
	case err != nil:
		return Topic{}, fmt.Errorf("ask the brokers for topic %q: %w", name, err)
	case len(found) != 1:
		return Topic{}, fmt.Errorf("ask the brokers for topic %q: they described %d topics", name, len(found))
	}
	topic := Topic{Name: name, Partitions: make([]Partition, len(found[0].Partitions))}
	for _, p := range found[0].Partitions {
		if int(p.ID) >= len(topic.Partitions) {
			return Topic{}, fmt.Errorf("ask the brokers for topic %q: they described partition %d, but not all below it", name, p.ID)
		}
		topic.Partitions[p.ID] = Partition{Leader: p.Leader, Replicas: p.Replicas, InSync: p.Isr}
	}
	return topic, nil
}

// readSettings sets the fields that describeTopic leaves out.
func (t *Topic) readSettings(admin sarama.ClusterAdmin) error {
	resource := &sarama.ConfigResource{Type: sarama.TopicResource, Name: t.Name, ConfigNames: []string{
		SettingMinInSyncReplicas, SettingUncleanElection, SettingCleanupPolicy, SettingRetentionTime, SettingRetentionBytes, SettingMaxMessageBytes,
	}}
	results, err := admin.DescribeConfigs([]*sarama.ConfigResource{resource}, sarama.DescribeConfigsOptions{})
	if err == nil && len(results) != 1 {
		err = fmt.Errorf("they described %d topics", len(results))
	}
	if err == nil && results[0].ErrorCode != sarama.ErrNoError {
		err = results[0].ErrorCode
	}
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return fmt.Errorf("topic %q %w", t.Name, ErrNoTopic)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return fmt.Errorf("this user may not see the settings of topic %q: allow it DescribeConfigs: %w", t.Name, err)
	case err != nil:
		return fmt.Errorf("ask the brokers for the settings of topic %q: %w", t.Name, err)
	}
	settings := make(map[string]string)
	for _, entry := range results[0].Configs {
		settings[entry.Name] = entry.Value
	}
	return t.parseSettings(settings)
}

// errNoSetting means that the brokers did not return a setting. Its value is then
// unknown, and not assumed to be safe.
var errNoSetting = errors.New("the brokers did not return")

func (t *Topic) parseSettings(settings map[string]string) error {
	var wrong error
	text := func(name string) string {
		value, found := settings[name]
		if !found && wrong == nil {
			wrong = fmt.Errorf("%w the setting %s of topic %q", errNoSetting, name, t.Name)
		}
		return value
	}
	number := func(name string) int64 {
		n, err := strconv.ParseInt(text(name), 10, 64)
		if err != nil && wrong == nil {
			wrong = fmt.Errorf("topic %q has the setting %s=%q, which is not a number", t.Name, name, settings[name])
		}
		return n
	}
	t.MinInSync = int(number(SettingMinInSyncReplicas))
	t.MaxMessageBytes = int(number(SettingMaxMessageBytes))
	t.RetentionBytes = number(SettingRetentionBytes)
	t.Retention = milliseconds(number(SettingRetentionTime))
	t.UncleanElection = settings[SettingUncleanElection] == "true"
	if t.Replicas() > 1 { // otherwise no replica can be elected
		text(SettingUncleanElection)
	}
	t.CleanupPolicy = text(SettingCleanupPolicy)
	return wrong
}

// milliseconds returns a duration, which is negative for a value too large for one:
// some operators write "no limit" as the largest number.
func milliseconds(ms int64) time.Duration {
	if ms < 0 || ms > int64(time.Duration(1<<63-1)/time.Millisecond) {
		return -time.Millisecond // as Kafka writes it
	}
	return time.Duration(ms) * time.Millisecond
}

func (t Topic) compacted() bool { return strings.Contains(t.CleanupPolicy, "compact") }

// Copies returns the smallest number of replicas that have an acknowledged record. It
// is 0 with unclean elections: a replica without the record may become the leader, and
// then the others drop the record too.
func (t Topic) Copies() int {
	if t.UncleanElection && t.Replicas() > 1 {
		return 0
	}
	return max(min(t.MinInSync, t.Replicas()), min(1, t.Replicas()))
}

// errFewCopies means that a topic has fewer copies than were asked for.
var errFewCopies = errors.New("acknowledged records are not safe enough")

// Check returns an error for a topic with too few copies, which explains how to
// change it.
func (c CopiesConfig) Check(t Topic) error {
	switch copies := t.Copies(); {
	case copies >= c.MinCopies:
		return nil
	case copies == 0:
		return fmt.Errorf("%w: topic %q has %s=true, which can drop acknowledged records: set it to false, or allow it with --kafka-min-copies 0", errFewCopies, t.Name, SettingUncleanElection)
	default:
		return fmt.Errorf("%w: topic %q acknowledges a record once %d of its replicas have it (replication factor %d, %s %d), and kafka-min-copies (KAFKA_MIN_COPIES) is %d: raise %s of the topic, and its replication factor above that",
			errFewCopies, t.Name, copies, t.Replicas(), SettingMinInSyncReplicas, t.MinInSync, c.MinCopies, SettingMinInSyncReplicas)
	}
}

// shortRetention is the longest outage to be expected, such as a long weekend.
const shortRetention = 4 * 24 * time.Hour

// Weaknesses returns a sentence for each setting of the topic that deletes or refuses
// updates.
func (t Topic) Weaknesses() []string {
	var all []string
	found := func(yes bool, format string, args ...any) {
		if yes {
			all = append(all, fmt.Sprintf("topic %q ", t.Name)+fmt.Sprintf(format, args...))
		}
	}
	found(t.MinInSync > t.Replicas(), "has %s %d and replication factor %d, so no record is ever acknowledged: lower the first or raise the second", SettingMinInSyncReplicas, t.MinInSync, t.Replicas())
	found(t.compacted(), "has %s=%s, which keeps one update of each order: set it to delete", SettingCleanupPolicy, t.CleanupPolicy)
	found(t.RetentionBytes >= 0, "has %s=%d, which deletes updates early when many wait to be applied: set it to -1", SettingRetentionBytes, t.RetentionBytes)
	found(t.Retention >= 0 && t.Retention < shortRetention, "deletes records after %v, applied or not, so they are lost when the api role is away for longer: raise %s", t.Retention, SettingRetentionTime)
	found(t.MaxMessageBytes < producerMaxBytes, "has %s=%d and refuses batches that ingest sends: set it to %d", SettingMaxMessageBytes, t.MaxMessageBytes, MinMessageBytes)
	return all
}

// Leaderless returns the numbers of the partitions that have no leader.
func (t Topic) Leaderless() []int32 {
	return t.partitions(func(p Partition) bool { return p.Leader < 0 })
}

// UnderReplicated returns the numbers of the partitions of which a replica is missing
// or incomplete.
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
