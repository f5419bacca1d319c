package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Stray is a record on a topic that is no update. It becomes a dead letter, and
// what comes after it is applied all the same.
type Stray struct {
	Digest string `json:"digest"`
	Topic  string `json:"topic"`
	// Acked says that the broker has it.
	Acked bool `json:"acked,omitempty"`
}

const (
	// strayEvery is how often the stranger writes one.
	strayEvery = 100 * time.Millisecond
	// strayWithin is how long the broker may take to acknowledge one.
	strayWithin = 10 * time.Second
)

// stranger is somebody who writes what is none of his business to the topics.
type stranger struct {
	client *kgo.Client
	ledger *Ledger
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// startStranger begins to write to the brokers of a cell that has some; nil in
// other cells.
func startStranger(ctx context.Context, c *cluster, ledger *Ledger) (*stranger, error) {
	if c.Broker == "" {
		return nil, nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.brokerAddrs...), kgo.RecordDeliveryTimeout(strayWithin), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return nil, fmt.Errorf("connect the stranger to Kafka: %w", err)
	}
	s := &stranger{client: client, ledger: ledger}
	ctx, s.stop = context.WithCancel(ctx)
	s.done.Go(func() { s.write(ctx, []string{c.topics.Orders, c.topics.Disputes}) })
	return s, nil
}

func (s *stranger) write(ctx context.Context, topics []string) {
	for n := 0; ctx.Err() == nil; n++ {
		value := fmt.Appendf(nil, "\xffstray %d", n)
		stray := Stray{Digest: digestOf(value), Topic: topics[n%len(topics)]}
		s.ledger.Strays(stray)
		record := &kgo.Record{Topic: stray.Topic, Key: fmt.Append(nil, n), Value: value}
		s.client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err == nil {
				stray.Acked = true
				s.ledger.Strays(stray)
			}
		})
		pause(ctx, strayEvery)
	}
}

// end stops writing, and waits for what is under way.
func (s *stranger) end() {
	if s == nil {
		return
	}
	s.stop()
	s.done.Wait()
	s.client.Close()
}
