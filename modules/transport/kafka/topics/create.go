// Package topics is what the commands app topics create and app topics check do: it
// creates the topics on a Kafka cluster, and reports on their safety and on how far
// the consumer group has applied them.
package topics

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// Spec is how a topic is created.
type Spec struct {
	// Partitions bound how many api processes can share the work: each partition
	// is consumed by one of them.
	Partitions int
	// Replicas is how many brokers have a copy, and MinInSync how many of them
	// must have a record before it is acknowledged.
	Replicas, MinInSync int
	// Retention is how long records are kept, applied or not; 0 is for ever.
	Retention time.Duration
}

// RegisterFlags declares the flags of the command that creates topics.
//
// A record that has been applied is of no further use, and one that has not must
// stay, but Kafka deletes by age or size and knows neither. Its default of a
// week is a long weekend and a bad Monday; a size would delete the sooner the
// more is waiting. So the default is a month by age, with no bound by size.
func (s *Spec) RegisterFlags(fs *flag.FlagSet) {
	fs.IntVar(&s.Partitions, "partitions", 12, "give each topic this many partitions: as many api processes can share the work")
	fs.IntVar(&s.Replicas, "replication-factor", 3, "keep each record on this many brokers")
	fs.IntVar(&s.MinInSync, "min-insync-replicas", 2, "acknowledge a record once this many brokers have it")
	fs.DurationVar(&s.Retention, "retention", 30*24*time.Hour, "delete records after this time, applied or not: longer than any outage may last; 0 keeps them for ever")
}

// Validate tells how to mend a shape that no cluster can give.
func (s Spec) Validate() error {
	switch {
	case s.Partitions < 1:
		return fmt.Errorf("--partitions is %d: it must be at least 1", s.Partitions)
	case s.Replicas < 1 || s.Replicas > 32767:
		return fmt.Errorf("--replication-factor is %d: it must be at least 1 and no more than there are brokers", s.Replicas)
	case s.MinInSync < 1 || s.MinInSync > s.Replicas:
		return fmt.Errorf("--min-insync-replicas is %d and --replication-factor is %d: the first must be at least 1 and no more than the second, and one less lets a broker be away", s.MinInSync, s.Replicas)
	case s.Retention < 0 || s.Retention != 0 && s.Retention < time.Hour:
		return fmt.Errorf("--retention is %v: it must be at least 1h, or 0 for ever", s.Retention)
	default:
		return nil
	}
}

// settings are written out in full, so that no default of a cluster decides
// whether payments are kept. Compaction would keep one update of each order.
func (s Spec) settings() map[string]string {
	return map[string]string{
		kafka.SettingMinInSyncReplicas: strconv.Itoa(s.MinInSync),
		kafka.SettingUncleanElection:   "false",
		kafka.SettingCleanupPolicy:     "delete",
		kafka.SettingRetentionTime:     strconv.FormatInt(s.retention().Milliseconds(), 10),
		kafka.SettingRetentionBytes:    "-1",
		kafka.SettingMaxMessageBytes:   strconv.Itoa(kafka.MinMessageBytes),
	}
}

// retention is in Kafka's manner, where for ever is below 0.
func (s Spec) retention() time.Duration {
	if s.Retention == 0 {
		return -time.Millisecond
	}
	return s.Retention
}

// Created is what became of one topic.
type Created struct {
	kafka.Topic
	// Created says that it did not exist. One that did is left as it was, and
	// Differences say how it is not what was asked for.
	Created     bool
	Differences []string
}

// Create makes sure that both topics exist, and returns once they have a
// leader for each partition. What it is given has to be valid.
func Create(ctx context.Context, cluster kafka.ClusterConfig, topics kafka.TopicConfig, spec Spec) ([]Created, error) {
	var created []Created
	err := kafka.WithAdmin(ctx, cluster, func(admin sarama.ClusterAdmin) error {
		for _, name := range topics.Names() {
			topic, err := createTopic(ctx, admin, name, spec)
			if err != nil {
				return err
			}
			created = append(created, topic)
		}
		return nil
	})
	return created, err
}

func createTopic(ctx context.Context, admin sarama.ClusterAdmin, name string, spec Spec) (Created, error) {
	entries := make(map[string]*string)
	for key, value := range spec.settings() {
		entries[key] = &value
	}
	err := admin.CreateTopic(name, &sarama.TopicDetail{
		NumPartitions: int32(spec.Partitions), ReplicationFactor: int16(spec.Replicas), ConfigEntries: entries,
	}, false)
	if errors.Is(err, sarama.ErrUnsupportedVersion) {
		return existingTopic(admin, name)
	}
	existed := errors.Is(err, sarama.ErrTopicAlreadyExists)
	if err != nil && !existed {
		return Created{}, creationError(name, spec, err)
	}
	topic, err := awaitTopic(ctx, admin, name)
	if err != nil {
		return Created{}, err
	}
	if !existed {
		return Created{Topic: topic, Created: true}, nil
	}
	return Created{Topic: topic, Differences: spec.differences(topic)}, nil
}

// existingTopic returns a topic of brokers on which clients create none, such as the
// embedded broker, which creates its own. There are no differences: its shape is not
// for the user to choose.
func existingTopic(admin sarama.ClusterAdmin, name string) (Created, error) {
	topic, err := kafka.DescribeTopic(admin, name)
	if errors.Is(err, kafka.ErrNoTopic) {
		return Created{}, fmt.Errorf("create topic %q: these brokers create no topics for clients: give app serve broker the same --kafka-orders-topic and --kafka-disputes-topic, and it creates them at its start", name)
	}
	return Created{Topic: topic}, err
}

func creationError(name string, spec Spec, err error) error {
	switch {
	case errors.Is(err, sarama.ErrInvalidReplicationFactor):
		return fmt.Errorf("create topic %q: the cluster has fewer than %d brokers: start the others, or lower --replication-factor and --min-insync-replicas: %w", name, spec.Replicas, err)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed), errors.Is(err, sarama.ErrClusterAuthorizationFailed):
		return fmt.Errorf("create topic %q: this user may not: let one do it who may create topics: %w", name, err)
	default:
		return fmt.Errorf("create topic %q: %w", name, err)
	}
}

// awaitTopic waits until the brokers agree on a topic that exists: a cluster
// takes a moment to spread the news.
func awaitTopic(ctx context.Context, admin sarama.ClusterAdmin, name string) (kafka.Topic, error) {
	for {
		topic, err := kafka.DescribeTopic(admin, name)
		if err == nil && len(topic.Partitions) > 0 && len(topic.Leaderless()) == 0 {
			return topic, nil
		}
		if err != nil && !errors.Is(err, kafka.ErrNoTopic) {
			return topic, err
		}
		select {
		case <-ctx.Done():
			return topic, fmt.Errorf("topic %q exists, but its partitions have no leaders yet: see app topics check: %w", name, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// differences say in what an existing topic is not what was asked for.
func (s Spec) differences(t kafka.Topic) []string {
	var all []string
	differs := func(what string, is, asked any) {
		if is != asked {
			all = append(all, fmt.Sprintf("%s is %v, not %v", what, is, asked))
		}
	}
	differs("partitions", len(t.Partitions), s.Partitions)
	differs("replication factor", t.Replicas(), s.Replicas)
	differs(kafka.SettingMinInSyncReplicas, t.MinInSync, s.MinInSync)
	differs(kafka.SettingUncleanElection, t.UncleanElection, false)
	differs(kafka.SettingCleanupPolicy, t.CleanupPolicy, "delete")
	differs(kafka.SettingRetentionTime, t.Retention.Milliseconds(), s.retention().Milliseconds())
	differs(kafka.SettingRetentionBytes, t.RetentionBytes, int64(-1))
	differs(kafka.SettingMaxMessageBytes, t.MaxMessageBytes, kafka.MinMessageBytes)
	return all
}
