package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// EnsureTopics waits until the brokers answer and both topics exist, or ctx
// ends. It creates nothing: how many partitions and replicas a topic has is its
// operator's decision.
func EnsureTopics(ctx context.Context, cfg KafkaConfig) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	for {
		err := checkTopics(cfg)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func checkTopics(cfg KafkaConfig) error {
	config := newSaramaConfig("payrelay-check")
	config.Metadata.Full = false
	config.Metadata.Retry.Max = 0
	client, err := sarama.NewClient(cfg.Brokers, config)
	if err != nil {
		return fmt.Errorf("connect to Kafka at %v: %w", cfg.Brokers, err)
	}
	defer client.Close()
	for _, topic := range cfg.Names() {
		err := client.RefreshMetadata(topic)
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return fmt.Errorf("topic %q does not exist on the Kafka brokers %v: create it, or name another with --kafka-orders-topic and --kafka-disputes-topic", topic, cfg.Brokers)
		}
		if err != nil {
			return fmt.Errorf("ask the Kafka brokers %v for topic %q: start them, or correct --kafka-brokers (KAFKA_BROKERS): %w", cfg.Brokers, topic, err)
		}
	}
	return nil
}
