package transport

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/IBM/sarama"
)

// withAdmin connects to the brokers for as long as use takes, to ask them about
// topics or to have some created. Whatever waits on them ends with ctx.
func withAdmin(ctx context.Context, cfg ClusterConfig, use func(sarama.ClusterAdmin) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	admin, err := sarama.NewClusterAdmin(cfg.Brokers, adminConfig(ctx))
	if err != nil {
		return fmt.Errorf("connect to Kafka at %v: start the brokers, or correct --kafka-brokers (KAFKA_BROKERS): %w", cfg.Brokers, err)
	}
	defer admin.Close()
	return use(admin)
}

func adminConfig(ctx context.Context) *sarama.Config {
	c := newSaramaConfig("payrelay-admin")
	c.Metadata.Retry.Max = 0
	c.Admin.Timeout = 10 * time.Second // the brokers' own, to create a topic
	c.Net.ReadTimeout = 15 * time.Second
	// The library takes no context, only somebody who dials.
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, dialer{ctx, c.Net.DialTimeout}
	return c
}

// dialer opens connections that end with ctx, whatever waits on them.
type dialer struct {
	ctx     context.Context
	timeout time.Duration
}

func (d dialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.timeout}).DialContext(d.ctx, network, addr)
	if err == nil {
		context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	}
	return conn, err
}
