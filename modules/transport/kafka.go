package transport

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"golang.org/x/sync/semaphore"
)

const (
	// maxInFlight bounds the records, in bytes, that wait for an acknowledgement:
	// without a bound they would fill the memory during an outage.
	maxInFlight = 64 << 20
	// minInFlight is what each record counts at least, so 4,096 of them may wait.
	minInFlight = 16 << 10
	// producerCloseTimeout is short, because nobody waits for a result by then:
	// whoever published has an answer already, or was told to send again.
	producerCloseTimeout = 2 * time.Second
)

// KafkaClient is the near end of the mode kafka: it publishes updates and
// answers QUEUED once every in-sync replica has them. Its methods may be called
// concurrently.
//
// In the batched shape, whatever is published while a request is under way goes
// into the next one. In the unary shape a request carries one record.
type KafkaClient struct {
	cfg      KafkaConfig
	producer sarama.AsyncProducer
	inFlight *semaphore.Weighted
	drained  sync.WaitGroup

	// gate is held for reading while records are handed over, and for writing to
	// close: the producer panics on a record that comes later.
	gate   sync.RWMutex
	closed bool
}

// NewKafka connects to the brokers, which takes about 12 s to fail.
// [EnsureTopics] says more clearly what is wrong, and sooner.
func NewKafka(cfg KafkaConfig) (*KafkaClient, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	config, err := producerConfig(cfg)
	if err != nil {
		return nil, err
	}
	return newKafka(cfg, config)
}

func newKafka(cfg KafkaConfig, config *sarama.Config) (*KafkaClient, error) {
	producer, err := sarama.NewAsyncProducer(cfg.Brokers, config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka at %v: %w", cfg.Brokers, err)
	}
	k := &KafkaClient{cfg: cfg, producer: producer, inFlight: semaphore.NewWeighted(maxInFlight)}
	k.drained.Go(func() {
		for message := range producer.Successes() {
			k.settle(message, nil)
		}
	})
	k.drained.Go(func() {
		for failed := range producer.Errors() {
			k.settle(failed.Msg, failed)
		}
	})
	return k, nil
}

// delivery travels with a record to whoever waits for it.
type delivery struct {
	result chan<- error // has room for every record of the call
	weight int64
}

func (k *KafkaClient) settle(message *sarama.ProducerMessage, err error) {
	d := message.Metadata.(delivery)
	d.result <- err
	k.inFlight.Release(d.weight)
}

// Apply publishes the updates in their order and waits until all of them are
// durable. After an error, some may be in Kafka all the same.
func (k *KafkaClient) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	results := make(chan error, len(updates))
	messages, err := k.encode(updates, results)
	if err != nil {
		return nil, err
	}
	if err := k.publish(ctx, messages); err != nil {
		return nil, fmt.Errorf("publish %d updates to Kafka: %w", len(updates), err)
	}
	if err := await(ctx, results, len(messages)); err != nil {
		return nil, fmt.Errorf("publish %d updates to Kafka, of which some may have arrived: %w", len(updates), err)
	}
	outcomes := make([]*payrelayv1.Outcome, len(updates))
	for i := range outcomes {
		outcomes[i] = &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_QUEUED}
	}
	return outcomes, nil
}

func (k *KafkaClient) encode(updates []*payrelayv1.Update, results chan<- error) ([]*sarama.ProducerMessage, error) {
	messages := make([]*sarama.ProducerMessage, len(updates))
	for i, update := range updates {
		message, err := k.cfg.encode(update)
		if err != nil {
			return nil, fmt.Errorf("update %d: %w", i, err)
		}
		weight := int64(max(message.ByteSize(2), minInFlight))
		message.Metadata = delivery{result: results, weight: weight}
		messages[i] = message
	}
	return messages, nil
}

func (k *KafkaClient) publish(ctx context.Context, messages []*sarama.ProducerMessage) error {
	k.gate.RLock()
	defer k.gate.RUnlock()
	if k.closed {
		return errClosed
	}
	for _, message := range messages {
		weight := message.Metadata.(delivery).weight
		if !k.inFlight.TryAcquire(weight) {
			return errOverloaded
		}
		select {
		case k.producer.Input() <- message:
		case <-ctx.Done(): // the producer takes no more while the brokers are away
			k.inFlight.Release(weight)
			return context.Cause(ctx)
		}
	}
	return nil
}

func await(ctx context.Context, results <-chan error, n int) error {
	for range n {
		select {
		case err := <-results:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Close waits until every record is acknowledged or given up, for a few seconds
// at most. Records beyond are forgotten and Close returns nil all the same:
// nobody was told that they are queued, so their senders send them again.
func (k *KafkaClient) Close() error {
	if !k.shut() {
		return nil
	}
	// Not producer.Close, which takes the results for itself.
	k.producer.AsyncClose()
	drained := make(chan struct{})
	go func() {
		k.drained.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(producerCloseTimeout):
	}
	return nil
}

func (k *KafkaClient) shut() (first bool) {
	k.gate.Lock()
	defer k.gate.Unlock()
	first, k.closed = !k.closed, true
	return first
}
