package broker

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// patience is the timeout of every wait in these tests.
const patience = 20 * time.Second

var discard = slog.New(slog.NewTextHandler(io.Discard, nil))

// relayGroup is the group that applies the records of the tests' brokers.
const relayGroup = "relay"

// running is a running broker.
type running struct {
	*Broker
	stop func()
}

// start opens a broker on dir. It is stopped at the end of the test if not before.
func start(t *testing.T, dir string, topics ...string) running {
	t.Helper()
	return startLogging(t, discard, dir, topics...)
}

func startLogging(t *testing.T, log *slog.Logger, dir string, topics ...string) running {
	t.Helper()
	b, err := Open(Config{Addr: "127.0.0.1:0", SyncWrites: true}, dir, topics, relayGroup, log)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return after its context ended")
		}
	}
	t.Cleanup(stop)
	return running{b, stop}
}

// clientConfig returns the configuration that payrelay uses for sarama.
func clientConfig() *sarama.Config {
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V2_8_0_0
	cfg.Metadata.AllowAutoTopicCreation = false
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.Idempotent = true
	cfg.Net.MaxOpenRequests = 1
	cfg.Producer.Retry.Backoff = 20 * time.Millisecond
	cfg.Producer.Return.Successes = true
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
	cfg.Consumer.MaxWaitTime = 50 * time.Millisecond
	return cfg
}

func newClient(t *testing.T, addr string) sarama.Client {
	t.Helper()
	client, err := sarama.NewClient([]string{addr}, clientConfig())
	if err != nil {
		t.Fatalf("connecting to the broker: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newProducer(t *testing.T, addr string) sarama.SyncProducer {
	t.Helper()
	producer, err := sarama.NewSyncProducerFromClient(newClient(t, addr))
	if err != nil {
		t.Fatalf("making a producer: %v", err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	return producer
}

// produce appends the values from..to-1 to the topic and returns the offset of
// the last one.
func produce(t *testing.T, addr, topic string, from, to int) (last int64) {
	t.Helper()
	producer := newProducer(t, addr)
	for i := from; i < to; i++ {
		_, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value(i))})
		if err != nil {
			t.Fatalf("producing %s to %s: %v", value(i), topic, err)
		}
		last = offset
	}
	return last
}

func value(i int) string { return fmt.Sprintf("record-%d", i) }

// collector is a group member that sends what it consumes to a channel.
type collector struct {
	messages chan *sarama.ConsumerMessage
	commit   bool
}

func (collector) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (collector) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (c collector) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case <-s.Context().Done():
			return nil
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			select {
			case c.messages <- m:
			case <-s.Context().Done():
				return nil
			}
			if c.commit {
				s.MarkMessage(m, "") // leaving the group commits
			}
		}
	}
}

// join makes a member of the group consume the topic until the test ends or
// leave is called.
func join(t *testing.T, addr, group, topic string, commit bool) (messages <-chan *sarama.ConsumerMessage, leave func()) {
	t.Helper()
	return joinAs(t, clientConfig(), addr, group, topic, commit)
}

func joinAs(t *testing.T, cfg *sarama.Config, addr, group, topic string, commit bool) (messages <-chan *sarama.ConsumerMessage, leave func()) {
	t.Helper()
	cg, err := sarama.NewConsumerGroup([]string{addr}, group, cfg)
	if err != nil {
		t.Fatalf("making consumer group %s: %v", group, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := collector{messages: make(chan *sarama.ConsumerMessage), commit: commit}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = cg.Consume(ctx, []string{topic}, c)
		}
	}()
	leave = func() {
		cancel()
		<-done
		_ = cg.Close()
	}
	t.Cleanup(leave)
	return c.messages, leave
}

// consume reads n records as a member of the group, commits them and leaves.
func consume(t *testing.T, addr, group, topic string, n int) []*sarama.ConsumerMessage {
	t.Helper()
	messages, leave := join(t, addr, group, topic, true)
	defer leave()
	var got []*sarama.ConsumerMessage
	timeout := time.After(patience)
	for len(got) < n {
		select {
		case m := <-messages:
			got = append(got, m)
		case <-timeout:
			t.Fatalf("group %s got %d of %d records of %s", group, len(got), n, topic)
		}
	}
	return got
}

// wantValues fails the test unless the records are those from number from on, in
// order.
func wantValues(t *testing.T, got []*sarama.ConsumerMessage, from int) {
	t.Helper()
	for i, m := range got {
		if string(m.Value) != value(from+i) {
			t.Fatalf("record %d is %q at offset %d, want %q", i, m.Value, m.Offset, value(from+i))
		}
	}
}

// wantOffsets checks the oldest and the newest offset of the topic.
func wantOffsets(t *testing.T, addr, topic string, oldest, newest int64) {
	t.Helper()
	client := newClient(t, addr)
	for _, end := range []struct {
		name       string
		time, want int64
	}{{"oldest", sarama.OffsetOldest, oldest}, {"newest", sarama.OffsetNewest, newest}} {
		got, err := client.GetOffset(topic, 0, end.time)
		if err != nil || got != end.want {
			t.Errorf("%s offset of %s = %d, %v, want %d", end.name, topic, got, err, end.want)
		}
	}
}
