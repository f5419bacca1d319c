package kafka

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

func TestConformance(t *testing.T) {
	for shape, unary := range map[string]bool{"batched": false, "unary": true} {
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			transporttest.Run(t, transporttest.Harness{
				Verdict: payrelayv1.Verdict_VERDICT_QUEUED,
				Open:    func(t *testing.T, far *transporttest.FarSide) *transporttest.Link { return openKafka(t, far, unary) },
			})
		})
	}
}

// openKafka connects a producer and a consumer to the embedded broker.
func openKafka(t *testing.T, far *transporttest.FarSide, unary bool) *transporttest.Link {
	cfg := Config{TopicConfig: topicNames, Unary: unary, InstanceID: "test-0"}
	b := startBroker(t, cfg.Names(), cfg.Group)
	cfg.Brokers = []string{b.addr}
	link := linkKafka(t, far, cfg)
	link.Kill, link.Revive = b.kill, b.revive
	return link
}

// linkKafka connects a producer and a consumer to the brokers of a configuration.
func linkKafka(t *testing.T, far *transporttest.FarSide, cfg Config) *transporttest.Link {
	var gate gate
	consumer := startConsumer(t, cfg, far)
	config := must(producerConfig(cfg))
	config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, &gate
	client, err := newProducer(cfg, config)
	if err != nil {
		t.Fatal(err)
	}
	closeClient := sync.OnceValue(client.Close)
	t.Cleanup(func() {
		if err := closeClient(); err != nil {
			t.Errorf("close the client: %v", err)
		}
	})
	return &transporttest.Link{
		Client: client, Close: closeClient, Freeze: gate.freeze, WantLetters: true,
		Restart: func() error {
			err := consumer.Stop()
			consumer = startConsumer(t, cfg, far)
			return err
		},
		Garbage: func(garbage []byte) { publishRaw(t, cfg, garbage) },
	}
}

func startConsumer(t *testing.T, cfg Config, far *transporttest.FarSide) *transporttest.Running {
	t.Helper()
	consumer, err := NewConsumer(cfg, far, far, transporttest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	r := transporttest.Start(consumer.Run)
	t.Cleanup(func() {
		far.Block()() // unblock
		if err := r.Stop(); err != nil {
			t.Errorf("stop the consumer: %v", err)
		}
	})
	return r
}

func publishRaw(t *testing.T, cfg Config, value []byte) {
	t.Helper()
	producer, err := sarama.NewSyncProducer(cfg.Brokers, must(producerConfig(cfg)))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	message := &sarama.ProducerMessage{Topic: cfg.OrdersTopic, Key: sarama.StringEncoder("order-1"), Value: sarama.ByteEncoder(value)}
	if _, _, err := producer.SendMessage(message); err != nil {
		t.Fatal(err)
	}
}

// testBroker is the embedded broker. It can be killed, and started again at its address
// with its records.
type testBroker struct {
	t      testing.TB
	dir    string
	topics []string
	group  string
	addr   string
	run    *transporttest.Running
}

func startBroker(t testing.TB, topics []string, group string) *testBroker {
	b := &testBroker{t: t, dir: t.TempDir(), topics: topics, group: group, addr: "127.0.0.1:0"}
	b.revive()
	t.Cleanup(b.kill)
	return b
}

func (b *testBroker) kill() {
	if err := b.run.Stop(); err != nil {
		b.t.Errorf("stop the broker: %v", err)
	}
}

func (b *testBroker) revive() {
	b.t.Helper()
	var opened *broker.Broker
	var err error
	// The connections that were cut may hold the port for a moment.
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		opened, err = broker.Open(broker.Config{Addr: b.addr}, b.dir, b.topics, b.group, transporttest.Quiet())
		if err == nil {
			b.addr, b.run = opened.Addr(), transporttest.Start(opened.Run)
			return
		}
	}
	b.t.Fatal(err)
}

// gate is a dialer whose connections can be frozen: they stay open, but writes block.
type gate struct {
	mu sync.RWMutex // held for writing while frozen
}

func (g *gate) Dial(network, addr string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, addr, time.Second)
	return &gatedConn{conn, g}, err
}

func (g *gate) freeze() (thaw func()) {
	g.mu.Lock()
	return sync.OnceFunc(g.mu.Unlock)
}

type gatedConn struct {
	net.Conn
	gate *gate
}

func (c *gatedConn) Write(p []byte) (int, error) {
	c.gate.mu.RLock()
	defer c.gate.mu.RUnlock()
	return c.Conn.Write(p)
}
