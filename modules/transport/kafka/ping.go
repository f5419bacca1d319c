package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/modules/transport"
)

// Pinger asks the brokers whether they are there. It has a connection of its own: those of
// a producer carry one request at a time, and a question would wait behind the records of
// an outage. Its methods must not be called concurrently.
type Pinger struct {
	brokers []string
	topics  []string
	config  *sarama.Config
	// broker is connected, or nil.
	broker *sarama.Broker
	// next is the index of the broker to try first.
	next int
}

// NewPinger returns a pinger, which connects at the first question.
func NewPinger(cfg Config) (*Pinger, error) {
	config, err := newSaramaConfig(context.Background(), cfg.ClusterConfig, "readiness")
	if err != nil {
		return nil, err
	}
	config.Net.DialTimeout = transport.WatchTimeout
	config.Net.ReadTimeout = transport.WatchTimeout
	config.Net.WriteTimeout = transport.WatchTimeout
	config.Net.Proxy.Dialer = dialer{context.Background(), config.Net.DialTimeout, cfg.showsPassword()}
	return &Pinger{brokers: cfg.Brokers, topics: cfg.Names(), config: config}, nil
}

// Ping returns nil if one of the brokers in the configuration answers. After an error, it
// tries the next one, until ctx is done.
func (p *Pinger) Ping(ctx context.Context) error {
	var failures []error
	for range p.brokers {
		err := p.ask()
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("ask the broker %s: %w", p.brokers[p.next], err))
		p.disconnect()
		p.next = (p.next + 1) % len(p.brokers)
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failures...)
}

// ask asks the broker whose turn it is.
func (p *Pinger) ask() error {
	if p.broker == nil {
		broker := sarama.NewBroker(p.brokers[p.next])
		if err := broker.Open(p.config); err != nil {
			return err
		}
		p.broker = broker
	}
	if connected, err := p.broker.Connected(); err != nil || !connected {
		return errors.Join(err, net.ErrClosed)
	}
	_, err := p.broker.GetMetadata(sarama.NewMetadataRequest(p.config.Version, p.topics))
	return err
}

func (p *Pinger) disconnect() {
	if p.broker != nil {
		_ = p.broker.Close() // it was not connected, or does not answer
		p.broker = nil
	}
}

// Close closes the connection.
func (p *Pinger) Close() error {
	p.disconnect()
	return nil
}
