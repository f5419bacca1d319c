package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/semaphore"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

func startKafka(t *testing.T) (*testBroker, Config) {
	t.Helper()
	cfg := Config{TopicConfig: TopicConfig{OrdersTopic: "webhooks.orders", DisputesTopic: "webhooks.disputes", Group: "payrelay"}}
	b := startBroker(t, cfg.Names(), cfg.Group)
	cfg.Brokers = []string{b.addr}
	return b, cfg
}

func TestPublishEndsWithItsDeadline(t *testing.T) {
	b, cfg := startKafka(t)
	client, err := NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Apply(t.Context(), one()); err != nil {
		t.Fatal(err)
	}
	b.kill()
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		start := time.Now()
		_, err := client.Apply(ctx, one())
		if took := time.Since(start); err == nil || transport.ClassOf(err) != transport.Unwell || took > time.Second {
			t.Errorf("Apply without a broker = %v after %v, want the class Unwell within 1s", err, took)
		}
		cancel()
	}
	b.revive()
	if err := client.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestFullProducerRefuses(t *testing.T) {
	b, cfg := startKafka(t)
	client, err := NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	free := client.inFlight
	if !free.TryAcquire(maxInFlight - minInFlight) {
		t.Fatal("an idle producer has records in flight")
	}
	if _, err := client.Apply(t.Context(), one()); err != nil {
		t.Errorf("Apply with room for one = %v", err)
	}
	wait.Until(t, patience, "its room", func() bool { return free.TryAcquire(minInFlight) })
	_, err = client.Apply(t.Context(), one())
	if !errors.Is(err, errOverloaded) || !strings.Contains(err.Error(), "too many updates") {
		t.Errorf("Apply without room = %v, want %v", err, errOverloaded)
	}
	free.Release(maxInFlight)
	// Every record releases its room, even after an error.
	b.kill()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _ = client.Apply(ctx, one())
	b.revive()
	wait.Until(t, patience, "room", func() bool {
		all := free.TryAcquire(maxInFlight)
		if all {
			free.Release(maxInFlight)
		}
		return all
	})
	if err := client.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// stuckProducer accepts no record, like one whose brokers are down.
type stuckProducer struct{ sarama.AsyncProducer }

func (stuckProducer) Input() chan<- *sarama.ProducerMessage { return nil }

func TestRecordThatIsNotAcceptedGivesItsRoomBack(t *testing.T) {
	client := &Producer{cfg: kafkaNames, producer: stuckProducer{}, inFlight: semaphore.NewWeighted(maxInFlight)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := client.Apply(ctx, one()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Apply = %v, want %v", err, context.DeadlineExceeded)
	}
	if !client.inFlight.TryAcquire(maxInFlight) {
		t.Error("the record did not release its room")
	}
}

func (stuckProducer) AsyncClose() {}

// Records in flight were not acknowledged to their senders, so a broker that hangs does
// not make a stop fail.
func TestCloseDropsRecordsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thaw := make(chan struct{})
		client := &Producer{producer: stuckProducer{}, inFlight: semaphore.NewWeighted(maxInFlight)}
		client.drained.Go(func() { <-thaw })
		begin := time.Now()
		if err := client.Close(); err != nil || time.Since(begin) != producerCloseTimeout {
			t.Errorf("Close = %v after %v, want nil after %v", err, time.Since(begin), producerCloseTimeout)
		}
		close(thaw)
	})
}

// A broker refuses a whole batch of records as too large, which says nothing final about
// one of them.
func TestOnlyTheProducersSizeCheckIsFinal(t *testing.T) {
	results := make(chan error, 1)
	results <- publish(sarama.ErrMessageSizeTooLarge)
	if err := await(t.Context(), results, 1); !errors.Is(err, sarama.ErrMessageSizeTooLarge) || code(err) != "" || transport.ClassOf(err) != transport.Busy {
		t.Errorf("await = %v, want the class Busy without a code", err)
	}
}

func TestQueuedMeansAcknowledged(t *testing.T) {
	client, thaw := frozenClient(t)
	published := make(chan error, 1)
	go func() {
		_, err := client.Apply(context.Background(), one())
		published <- err
	}()
	select {
	case err := <-published:
		t.Fatalf("Apply = %v before the broker answered", err)
	case <-time.After(200 * time.Millisecond):
	}
	thaw()
	if err := <-published; err != nil {
		t.Errorf("Apply: %v", err)
	}
}

func TestCloseWaitsForRecordsInFlight(t *testing.T) {
	client, thaw := frozenClient(t)
	published, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := client.Apply(context.Background(), one())
		published <- err
	}()
	wait.Until(t, patience, "the record to be in flight", func() bool {
		free := client.inFlight.TryAcquire(maxInFlight)
		if free {
			client.inFlight.Release(maxInFlight)
		}
		return !free
	})
	go func() { closed <- client.Close() }()
	select {
	case err := <-closed:
		t.Fatalf("Close = %v with a record in flight", err)
	case <-time.After(200 * time.Millisecond):
	}
	thaw()
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-published; err != nil {
		t.Errorf("Apply: %v", err)
	}
}

// frozenClient returns a connected client that cannot send until thaw is called.
func frozenClient(t *testing.T) (client *Producer, thaw func()) {
	t.Helper()
	_, cfg := startKafka(t)
	gate := new(gate)
	config := must(producerConfig(cfg))
	config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, gate
	client, err := newProducer(cfg, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if _, err := client.Apply(t.Context(), one()); err != nil {
		t.Fatal(err)
	}
	thaw = gate.freeze()
	t.Cleanup(thaw)
	return client, thaw
}

func TestClosedProducerRefuses(t *testing.T) {
	_, cfg := startKafka(t)
	client, err := NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := client.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := client.Apply(t.Context(), one()); !errors.Is(err, errClosed) {
		t.Errorf("Apply after Close = %v, want %v", err, errClosed)
	}
}

func TestNoBrokers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	cfg := Config{ClusterConfig: ClusterConfig{Brokers: []string{listener.Addr().String()}}, TopicConfig: TopicConfig{OrdersTopic: "a", DisputesTopic: "b", Group: "c"}}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := AwaitTopics(ctx, cfg); err == nil || !strings.Contains(err.Error(), cfg.Brokers[0]) {
		t.Errorf("AwaitTopics without brokers = %v, want an error that names %s", err, cfg.Brokers[0])
	}
	if _, err := NewProducer(Config{}); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKERS") {
		t.Errorf("NewProducer without brokers = %v", err)
	}
	if _, err := NewConsumer(Config{}, nil, nil, transporttest.Quiet()); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKERS") {
		t.Errorf("NewConsumer without brokers = %v", err)
	}
}

func BenchmarkPublish(b *testing.B) {
	for name, unary := range map[string]bool{"batched": false, "unary": true} {
		b.Run(name, func(b *testing.B) {
			cfg := Config{TopicConfig: TopicConfig{OrdersTopic: "webhooks.orders", DisputesTopic: "webhooks.disputes", Group: "payrelay"}, Unary: unary}
			cfg.Brokers = []string{startBroker(b, cfg.Names(), cfg.Group).addr}
			client, err := NewProducer(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			updates := []*payrelayv1.Update{orderUpdate("event-1")}
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := client.Apply(context.Background(), updates); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// publish returns the error of a record as Apply returns it.
func publish(err error) error {
	return fmt.Errorf("publish: %w", publishError(&sarama.ProducerError{Msg: &sarama.ProducerMessage{}, Err: err}))
}

func TestClassOfPublishErrors(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want transport.Class
	}{
		{"too large with others", publish(sarama.ErrMessageSizeTooLarge), transport.Busy},
		{"overloaded", fmt.Errorf("publish: %w", errOverloaded), transport.Busy},
		{"closed client", errClosed, transport.Abandoned},
		{"unreachable", publish(sarama.ErrOutOfBrokers), transport.Unwell},
		{"moves a leader", publish(sarama.ErrNotLeaderForPartition), transport.Unwell},
		{"lacks replicas", publish(sarama.ErrNotEnoughReplicas), transport.Unwell},
		{"new epoch", publish(sarama.ErrOutOfOrderSequenceNumber), transport.Unwell},
		{"connection", publish(io.EOF), transport.Unwell},
		{"forbids", publish(sarama.ErrTopicAuthorizationFailed), transport.Broken},
		{"settings", publish(sarama.ConfigurationError("x")), transport.Broken},
	} {
		if got := transport.ClassOf(test.err); got != test.want || transport.Divides(test.err) || code(test.err) != "" {
			t.Errorf("%s: ClassOf = %v, Divides = %v, code %q, want %v and neither", test.name, got, transport.Divides(test.err), code(test.err), test.want)
		}
	}
}
