package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/internal/wait"
)

const (
	// poisonPeriod is the time between two poison records.
	poisonPeriod = 100 * time.Millisecond
	// poisonTimeout is how long the broker may take to acknowledge one.
	poisonTimeout = 10 * time.Second
)

// PoisonProducer writes records to the topics that are not updates.
type PoisonProducer struct {
	client   *kgo.Client
	recorder *history.Recorder
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// StartPoison starts a producer. Without brokers it returns nil, on which Stop may
// be called.
func StartPoison(ctx context.Context, recorder *history.Recorder, brokers, topics []string) (*PoisonProducer, error) {
	if len(brokers) == 0 {
		return nil, nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordDeliveryTimeout(poisonTimeout), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return nil, fmt.Errorf("connect the producer of poison records to Kafka: %w", err)
	}
	p := &PoisonProducer{client: client, recorder: recorder}
	ctx, p.stop = context.WithCancel(ctx)
	p.done.Go(func() { p.produce(ctx, topics) })
	return p, nil
}

func (p *PoisonProducer) produce(ctx context.Context, topics []string) {
	for n := 0; ctx.Err() == nil; n++ {
		value := fmt.Appendf(nil, "\xffpoison %d", n)
		poison := history.PoisonRecord{Digest: history.Digest(value), Topic: topics[n%len(topics)]}
		p.recorder.Poison(poison)
		record := &kgo.Record{Topic: poison.Topic, Key: fmt.Append(nil, n), Value: value}
		p.client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err == nil {
				poison.Acked = true
				p.recorder.Poison(poison)
			}
		})
		wait.Pause(ctx, poisonPeriod)
	}
}

// Stop ends the producer and waits for the records in flight.
func (p *PoisonProducer) Stop() {
	if p == nil {
		return
	}
	p.stop()
	p.done.Wait()
	p.client.Close()
}
