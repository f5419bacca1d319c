package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/broker"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

const testToken = "0123456789abcdef0123456789abcdef"

func quiet() *slog.Logger {
	if testing.Verbose() && os.Getenv("PAYRELAY_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

func TestConformance(t *testing.T) {
	t.Run("direct", func(t *testing.T) {
		transporttest.Run(t, transporttest.Harness{
			Verdict: payrelayv1.Verdict_VERDICT_APPLIED,
			Open: func(_ *testing.T, far *transporttest.FarSide) *transporttest.Link {
				return &transporttest.Link{Client: NewDirect(far)}
			},
		})
	})
	for _, mode := range payments.Modes[:4] {
		for shape, unary := range map[string]bool{"batched": false, "unary": true} {
			t.Run(string(mode)+"/"+shape, func(t *testing.T) {
				t.Parallel()
				transporttest.Run(t, harness(mode, unary))
			})
		}
	}
}

func harness(mode payments.Mode, unary bool) transporttest.Harness {
	if mode == payments.Kafka {
		return transporttest.Harness{
			Verdict: payrelayv1.Verdict_VERDICT_QUEUED,
			Open:    func(t *testing.T, far *transporttest.FarSide) *transporttest.Link { return openKafka(t, far, unary) },
		}
	}
	return transporttest.Harness{
		Verdict: payrelayv1.Verdict_VERDICT_APPLIED,
		Open: func(t *testing.T, far *transporttest.FarSide) *transporttest.Link {
			return openRPC(t, mode, far, unary)
		},
	}
}

// running is a part with a Run method, under way.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

func start(run func(context.Context) error) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel, make(chan error, 1)}
	go func() { r.done <- run(ctx) }()
	return r
}

func (r *running) stop() error {
	r.cancel()
	select {
	case err := <-r.done:
		r.done <- nil // stopping again is no error
		return err
	case <-time.After(30 * time.Second):
		return errors.New("Run does not return")
	}
}

// openRPC links a client to the api role's own internal listener.
func openRPC(t *testing.T, mode payments.Mode, far *transporttest.FarSide, unary bool) *transporttest.Link {
	serve := func(addr string) (*running, string) {
		cfg := api.Config{Addr: "127.0.0.1:0", InternalAddr: addr, InternalToken: testToken}
		relay := api.NewRelay(far, quiet())
		in, err := api.NewInternal(cfg, relay, quiet())
		if err != nil {
			t.Fatal(err)
		}
		return start(in.Run), in.Addr()
	}
	server, backend := serve("127.0.0.1:0")
	// Connections are cut in between, for the listener has no way to be killed.
	front := newFront(t, backend)
	t.Cleanup(func() {
		far.Block()() // let nothing hang
		if err := server.stop(); err != nil {
			t.Errorf("stop the far side: %v", err)
		}
	})
	client, err := NewRPC(mode, RPCConfig{URL: "http://" + front.addr, Token: testToken, Unary: unary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &transporttest.Link{
		Client: client,
		Close:  client.Close,
		Restart: func() error {
			err := server.stop()
			server, _ = serve(backend)
			return err
		},
		Kill:   front.kill,
		Revive: front.revive,
		Freeze: nil,
		Garbage: func(garbage []byte) {
			for _, mediaType := range []string{"application/proto", "application/json", "application/grpc"} {
				sendGarbage(t, "http://"+backend+payrelayv1connect.RelayServiceApplyUpdatesProcedure, mediaType, garbage)
			}
			conn, err := net.Dial("tcp", backend)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write(append(garbage, "\r\n\r\n"...))
		},
	}
}

func sendGarbage(t *testing.T, url, mediaType string, garbage []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(garbage))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Authorization", "Bearer "+testToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("%s: garbage is answered with %s", mediaType, resp.Status)
	}
}

// openKafka links a producer over the embedded broker to a consumer.
func openKafka(t *testing.T, far *transporttest.FarSide, unary bool) *transporttest.Link {
	cfg := KafkaConfig{TopicConfig: topicNames, Unary: unary, InstanceID: "test-0"}
	b := startBroker(t, cfg.Names(), cfg.Group)
	cfg.Brokers = []string{b.addr}
	link := linkKafka(t, far, cfg)
	link.Kill, link.Revive = b.kill, b.revive
	return link
}

// linkKafka links a producer to a consumer over the topics of a configuration.
func linkKafka(t *testing.T, far *transporttest.FarSide, cfg KafkaConfig) *transporttest.Link {
	var gate gate
	consumer := startConsumer(t, cfg, far)
	config := must(producerConfig(cfg))
	config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, &gate
	client, err := newKafka(cfg, config)
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
			err := consumer.stop()
			consumer = startConsumer(t, cfg, far)
			return err
		},
		Garbage: func(garbage []byte) { publishRaw(t, cfg, garbage) },
	}
}

func startConsumer(t *testing.T, cfg KafkaConfig, far *transporttest.FarSide) *running {
	t.Helper()
	consumer, err := NewConsumer(cfg, far, far, quiet())
	if err != nil {
		t.Fatal(err)
	}
	r := start(consumer.Run)
	t.Cleanup(func() {
		far.Block()() // let nothing hang
		if err := r.stop(); err != nil {
			t.Errorf("stop the consumer: %v", err)
		}
	})
	return r
}

func publishRaw(t *testing.T, cfg KafkaConfig, value []byte) {
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

// testBroker is the embedded broker, which can be taken away and comes back on
// its address with its records.
type testBroker struct {
	t      testing.TB
	dir    string
	topics []string
	group  string
	addr   string
	run    *running
}

func startBroker(t testing.TB, topics []string, group string) *testBroker {
	b := &testBroker{t: t, dir: t.TempDir(), topics: topics, group: group, addr: "127.0.0.1:0"}
	b.revive()
	t.Cleanup(b.kill)
	return b
}

func (b *testBroker) kill() {
	if err := b.run.stop(); err != nil {
		b.t.Errorf("stop the broker: %v", err)
	}
}

func (b *testBroker) revive() {
	b.t.Helper()
	var opened *broker.Broker
	var err error
	// The port may be held for a moment by the connections that were cut.
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		opened, err = broker.Open(broker.Config{Addr: b.addr}, b.dir, b.topics, b.group, quiet())
		if err == nil {
			b.addr, b.run = opened.Addr(), start(opened.Run)
			return
		}
	}
	b.t.Fatal(err)
}

// gate dials connections that can be frozen: they stay open and carry nothing.
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

// front is a TCP relay in front of a server, which can be killed with all its
// connections and comes back on its address.
type front struct {
	t       *testing.T
	backend string
	addr    string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
}

func newFront(t *testing.T, backend string) *front {
	f := &front{t: t, backend: backend, addr: "127.0.0.1:0", conns: make(map[net.Conn]bool)}
	f.revive()
	t.Cleanup(f.kill)
	return f
}

func (f *front) revive() {
	f.t.Helper()
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	f.listener, f.addr = listener, listener.Addr().String()
	f.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go f.relay(conn)
		}
	}()
}

// kill resets every connection, as the death of a process does.
func (f *front) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.listener.Close()
	for conn := range f.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func (f *front) relay(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", f.backend)
	if err != nil {
		return
	}
	defer far.Close()
	f.mu.Lock()
	f.conns[near] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.conns, near)
	}()
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
		close(done)
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-done
}
