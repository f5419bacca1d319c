package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// EnsureTopics waits until the brokers answer and both topics exist. When ctx
// ends it returns at once, with what was wrong and the cause. It creates
// nothing: how many partitions and replicas a topic has is its operator's
// decision.
func EnsureTopics(ctx context.Context, cfg KafkaConfig) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	var last error
	for {
		err := checkTopics(ctx, cfg)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // a check that was interrupted says little
			last = err
		}
		sleep(ctx, 100*time.Millisecond)
		if ctx.Err() != nil {
			return fmt.Errorf("%w (%w)", last, context.Cause(ctx))
		}
	}
}

func checkTopics(ctx context.Context, cfg KafkaConfig) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	config := newSaramaConfig("payrelay-check")
	config.Metadata.Full = false
	config.Metadata.Retry.Max = 0
	// The library takes no context, only somebody who dials.
	config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, dialer{ctx, config.Net.DialTimeout}
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
