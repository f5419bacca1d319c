package cmd

import (
	"context"
	"time"

	"github.com/payrelay/payrelay/modules/transport"
)

// topicsTimeout is how long a start waits for the brokers, so that the roles
// and the broker can be started in any order.
const topicsTimeout = 15 * time.Second

// awaitTopics waits until the brokers answer and have the topics.
func (p *process) awaitTopics(ctx context.Context, cfg transport.KafkaConfig) error {
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	p.log.Info("looking for the topics", "brokers", cfg.Brokers)
	return transport.EnsureTopics(ctx, cfg)
}
