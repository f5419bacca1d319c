// Package kafka is the mode kafka: [Producer] publishes updates to topics, and
// [Consumer], a member of the consumer group, applies them. It also has what both
// need to reach a cluster, and [AwaitTopics], which refuses topics that would lose
// acknowledged records. The commands for operators are in package topics below.
package kafka

import (
	"errors"
	"flag"
	"fmt"
	"time"
)

// TopicConfig names what the brokers keep for payrelay.
type TopicConfig struct {
	// OrdersTopic and DisputesTopic carry the updates of their kind.
	OrdersTopic, DisputesTopic string
	// Group is the consumer group of all api processes.
	Group string
}

// RegisterFlags declares the flags of every role that touches Kafka.
func (c *TopicConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.OrdersTopic, "kafka-orders-topic", "webhooks.orders", "carry updates of orders on the topic `KAFKA_ORDERS_TOPIC`")
	fs.StringVar(&c.DisputesTopic, "kafka-disputes-topic", "webhooks.disputes", "carry updates of disputes on the topic `KAFKA_DISPUTES_TOPIC`")
	fs.StringVar(&c.Group, "kafka-group", "payrelay", "consume as the group `KAFKA_CONSUMER_GROUP`")
}

// Names are the topics that must exist.
func (c TopicConfig) Names() []string { return []string{c.OrdersTopic, c.DisputesTopic} }

// Validate tells how to mend names that cannot work together.
func (c TopicConfig) Validate() error {
	switch {
	case c.OrdersTopic == "" || c.DisputesTopic == "":
		return errors.New("kafka-orders-topic (KAFKA_ORDERS_TOPIC) and kafka-disputes-topic (KAFKA_DISPUTES_TOPIC) must both have a name")
	case c.OrdersTopic == c.DisputesTopic:
		return fmt.Errorf("kafka-orders-topic (KAFKA_ORDERS_TOPIC) and kafka-disputes-topic (KAFKA_DISPUTES_TOPIC) are both %q: give each its own topic", c.OrdersTopic)
	case c.Group == "":
		return errors.New("kafka-group (KAFKA_CONSUMER_GROUP) is empty: name the group that all api processes share")
	default:
		return nil
	}
}

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

// Config says where the topics are, and who consumes them.
type Config struct {
	TopicConfig
	ClusterConfig
	CopiesConfig
	// InstanceID makes a consumer a static member: it gets its partitions back
	// at once after a restart. It must be another one in each api process, and
	// the same after a restart; empty makes it an ordinary member.
	InstanceID string
	// Unary makes the producer send one record per request, and the consumer
	// apply one record per call. It is the opposite of Config.Batch.
	Unary bool
	// Fatal says of an error of the consumer's Applier that a person has to mend
	// something first. When a batch has met nothing else for FatalAfter, the
	// consumer ends with it, for whatever starts the process again to notice. Nil
	// says so never.
	Fatal      func(error) bool
	FatalAfter time.Duration
}

// RegisterFlags declares the flags of both roles.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	c.TopicConfig.RegisterFlags(fs)
	c.ClusterConfig.RegisterFlags(fs)
	c.CopiesConfig.RegisterFlags(fs)
	fs.StringVar(&c.InstanceID, "kafka-instance-id", "", "consume as the static member `KAFKA_INSTANCE_ID`, another one in each process")
}

// Validate tells how to mend names that Kafka would refuse.
func (c Config) Validate() error {
	for _, part := range []interface{ Validate() error }{c.ClusterConfig, c.CopiesConfig, c.TopicConfig} {
		if err := part.Validate(); err != nil {
			return err
		}
	}
	return nil
}
