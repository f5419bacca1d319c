package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/semaphore"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/transport"
)

const (
	// maxInFlight bounds the bytes of records that wait for an acknowledgement.
	// Without a bound they would fill the memory during an outage.
	maxInFlight = 64 << 20
	// minInFlight is what a smaller record counts as, so at most 4,096 of them wait.
	minInFlight = 16 << 10
	// producerCloseTimeout is short, because at Close no caller waits for a result any
	// more.
	producerCloseTimeout = 2 * time.Second
)

var (
	errOverloaded = transport.WithClass(errors.New("too many updates wait for Kafka's acknowledgement"), transport.Busy)
	errClosed     = transport.WithClass(errors.New("the client is closed"), transport.Abandoned)
)

// Producer is the client of the mode kafka: it publishes updates, and its verdict is
// QUEUED once every in-sync replica has them. Its methods may be called concurrently.
//
// Records that are published while a request is under way share the next request,
// unless Config.Unary is set.
type Producer struct {
	cfg      Config
	producer sarama.AsyncProducer
	inFlight *semaphore.Weighted
	drained  sync.WaitGroup

	// gate is held for reading while records are handed to the library, and for
	// writing to close: the library panics on a record after the close.
	gate   sync.RWMutex
	closed bool
}

// NewProducer connects to the brokers. An attempt that fails takes about 12 s, so
// call [AwaitTopics] before: it fails sooner, with a clearer error.
func NewProducer(cfg Config) (*Producer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	config, err := producerConfig(cfg)
	if err != nil {
		return nil, err
	}
	return newProducer(cfg, config)
}

func newProducer(cfg Config, config *sarama.Config) (*Producer, error) {
	producer, err := sarama.NewAsyncProducer(cfg.Brokers, config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka at %v: %w", cfg.Brokers, err)
	}
	p := &Producer{cfg: cfg, producer: producer, inFlight: semaphore.NewWeighted(maxInFlight)}
	p.drained.Go(func() {
		for message := range producer.Successes() {
			p.settle(message, nil)
		}
	})
	p.drained.Go(func() {
		for failed := range producer.Errors() {
			p.settle(failed.Msg, publishError(failed))
		}
	})
	return p, nil
}

// delivery is the metadata of a record: where its result goes.
type delivery struct {
	result chan<- error // buffered for every record of the call
	weight int64
}

func (p *Producer) settle(message *sarama.ProducerMessage, err error) {
	d := message.Metadata.(delivery)
	d.result <- err
	p.inFlight.Release(d.weight)
}

// Apply publishes the updates in their order and waits until all of them are durable.
// After an error, some of them may be in Kafka nevertheless.
func (p *Producer) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	results := make(chan error, len(updates))
	messages, err := p.encode(updates, results)
	if err != nil {
		return nil, err
	}
	if err := p.publish(ctx, messages); err != nil {
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

func (p *Producer) encode(updates []*payrelayv1.Update, results chan<- error) ([]*sarama.ProducerMessage, error) {
	messages := make([]*sarama.ProducerMessage, len(updates))
	for i, update := range updates {
		message, err := p.cfg.encode(update)
		if err != nil {
			return nil, fmt.Errorf("update %d: %w", i, err)
		}
		weight := int64(max(message.ByteSize(2), minInFlight))
		message.Metadata = delivery{result: results, weight: weight}
		messages[i] = message
	}
	return messages, nil
}

func (p *Producer) publish(ctx context.Context, messages []*sarama.ProducerMessage) error {
	p.gate.RLock()
	defer p.gate.RUnlock()
	if p.closed {
		return errClosed
	}
	for _, message := range messages {
		weight := message.Metadata.(delivery).weight
		if !p.inFlight.TryAcquire(weight) {
			return errOverloaded
		}
		select {
		case p.producer.Input() <- message:
		case <-ctx.Done(): // the library takes no more while the brokers are down
			p.inFlight.Release(weight)
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

// Close waits until every record is acknowledged or has failed, for two seconds at
// most, and returns nil. Records that are left were not acknowledged to their senders,
// which send them again.
func (p *Producer) Close() error {
	if !p.shut() {
		return nil
	}
	// AsyncClose, because Close would read the results itself.
	p.producer.AsyncClose()
	drained := make(chan struct{})
	go func() {
		p.drained.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(producerCloseTimeout):
	}
	return nil
}

func (p *Producer) shut() (first bool) {
	p.gate.Lock()
	defer p.gate.Unlock()
	first, p.closed = !p.closed, true
	return first
}

// publishError returns the error of a record with its class. That is Unwell for nearly
// all errors, which are about a leader that moved or a connection that broke.
func publishError(failed *sarama.ProducerError) error {
	var config sarama.ConfigurationError
	class := transport.Unwell
	switch err := failed.Err; {
	case errors.Is(err, sarama.ErrMessageSizeTooLarge):
		class = transport.Busy // the batch is too large; this record alone may fit
	case errors.As(err, &config),
		errors.Is(err, sarama.ErrTopicAuthorizationFailed),
		errors.Is(err, sarama.ErrClusterAuthorizationFailed),
		errors.Is(err, sarama.ErrSASLAuthenticationFailed),
		errors.Is(err, sarama.ErrInvalidTopic),
		errors.Is(err, sarama.ErrUnsupportedVersion):
		class = transport.Broken
	}
	return transport.WithClass(failed, class)
}
