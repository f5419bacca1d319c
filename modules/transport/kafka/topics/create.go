// Package topics implements the commands app topics create and app topics check: it
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

// Spec holds the shape of a topic that is to be created.
type Spec struct {
	// Partitions is also the largest number of api processes that can share the work,
	// because each partition is consumed by one of them.
	Partitions int
	// Replicas is how many brokers have a copy, and MinInSync how many of them must
	// have a record before it is acknowledged.
	Replicas, MinInSync int
	// Retention is how long records are kept, applied or not; 0 means no limit.
	Retention time.Duration
}

// RegisterFlags declares the flags of the command that creates topics.
//
// Kafka deletes records by age or size, whether they were applied or not. Its default
// of a week may be too short for an outage, and a limit by size would delete records
// early when many wait to be applied. So the default is a month, without a limit by
// size.
func (s *Spec) RegisterFlags(fs *flag.FlagSet) {
	fs.IntVar(&s.Partitions, "partitions", 12, "number of partitions of each topic, the most api processes that can share the work")
	fs.IntVar(&s.Replicas, "replication-factor", 3, "number of brokers that keep a copy of each record")
	fs.IntVar(&s.MinInSync, "min-insync-replicas", 2, "number of brokers that must have a record before it is acknowledged")
	fs.DurationVar(&s.Retention, "retention", 30*24*time.Hour, "age at which records are deleted, applied or not; it must exceed the longest outage, and 0 means never")
}

// Validate checks the shape. Its error explains how to correct it.
func (s Spec) Validate() error {
	switch {
	case s.Partitions < 1:
		return fmt.Errorf("--partitions is %d: it must be at least 1", s.Partitions)
	case s.Replicas < 1 || s.Replicas > 32767:
		return fmt.Errorf("--replication-factor is %d: it must be at least 1 and at most the number of brokers", s.Replicas)
	case s.MinInSync < 1 || s.MinInSync > s.Replicas:
		return fmt.Errorf("--min-insync-replicas is %d and --replication-factor is %d: the first must be at least 1 and at most the second; one less than the second tolerates the loss of a broker", s.MinInSync, s.Replicas)
	case s.Retention < 0 || s.Retention != 0 && s.Retention < time.Hour:
		return fmt.Errorf("--retention is %v: it must be at least 1h, or 0 for no limit", s.Retention)
	default:
		return nil
	}
}

// settings returns all settings that matter, so that no default of a cluster decides
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

// retention returns the retention in Kafka's form: negative for no limit.
func (s Spec) retention() time.Duration {
	if s.Retention == 0 {
		return -time.Millisecond
	}
	return s.Retention
}

// Created is the result for one topic.
type Created struct {
	kafka.Topic
	// Created reports whether the topic was created. An existing topic is not changed,
	// and Differences lists how it differs from the Spec.
	Created     bool
	Differences []string
}

// Create creates the topics that do not exist, and returns once each partition has a
// leader. The configurations must be valid.
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

// existingTopic returns a topic of brokers on which clients cannot create topics,
// such as the embedded broker, which creates its own. It reports no differences,
// because the user does not choose the shape of such a topic.
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
		return fmt.Errorf("create topic %q: this user may not create topics: use one that may: %w", name, err)
	default:
		return fmt.Errorf("create topic %q: %w", name, err)
	}
}

// awaitTopic waits until a topic that was created is known to the broker that is
// asked, and its partitions have leaders.
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

// differences lists how an existing topic differs from the spec.
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
