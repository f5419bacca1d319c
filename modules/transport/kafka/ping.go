package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/modules/transport"
)

// Pinger checks whether the brokers answer. It has its own connection: those of a producer
// carry one request at a time, so a check would wait behind the records of an outage. Its methods must not be called concurrently.
type Pinger struct {
	cluster ClusterConfig
	topics  []string
	config  *sarama.Config
	// broker is connected, or nil. hangUp ends its connection at once.
	broker *sarama.Broker
	hangUp context.CancelFunc
	// next is the index of the broker to try first.
	next int
}

// NewPinger returns a Pinger that connects at the first call of Ping.
func NewPinger(cfg Config) (*Pinger, error) {
	config, err := newSaramaConfig(context.Background(), cfg.ClusterConfig, "readiness")
	if err != nil {
		return nil, err
	}
	return &Pinger{cluster: cfg.ClusterConfig, topics: cfg.Names(), config: config}, nil
}

// Ping returns nil if one of the brokers in the configuration answers before ctx is done.
// After an error, the next call begins with the next broker.
func (p *Pinger) Ping(ctx context.Context) error {
	var failures []error
	for range p.cluster.Brokers {
		addr := p.cluster.Brokers[p.next]
		err := p.ask(ctx, addr)
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("ask the broker %s: %w", addr, err))
		p.disconnect()
		p.next = (p.next + 1) % len(p.cluster.Brokers)
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failures...)
}

// ask sends a request to the broker at an address.
func (p *Pinger) ask(ctx context.Context, addr string) error {
	if p.broker == nil {
		config := *p.config
		var connection context.Context
		connection, p.hangUp = context.WithCancel(context.Background())
		config.Net.Proxy.Dialer = dialer{connection, transport.WatchTimeout, p.cluster.showsPassword()}
		p.broker = sarama.NewBroker(addr)
		if err := p.broker.Open(&config); err != nil {
			return err
		}
	}
	defer context.AfterFunc(ctx, p.hangUp)() // the library takes no context
	if connected, err := p.broker.Connected(); err != nil || !connected {
		return errors.Join(err, net.ErrClosed)
	}
	_, err := p.broker.GetMetadata(sarama.NewMetadataRequest(p.config.Version, p.topics))
	return err
}

func (p *Pinger) disconnect() {
	if p.broker != nil {
		p.hangUp()
		_ = p.broker.Close() // it was not connected, or does not answer
		p.broker = nil
	}
}

// Close closes the connection.
func (p *Pinger) Close() error {
	p.disconnect()
	return nil
}
