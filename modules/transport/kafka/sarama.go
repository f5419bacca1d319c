package kafka

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/modules/transport"
)

// A batch in a topic may be compressed, and then it says nothing about its size.
// What the producer here sends is not, and has at most 1 MB; this leaves others
// room. A larger batch fails the fetch that holds it: the partition waits there
// and the log says why, again and again, until an operator has the topic's
// records deleted up to its end or moves the group's offset. Nothing is skipped
// on its own, for there may be payments in it.
//
// The library has one such variable per process, so it is set before any
// goroutine can read it.
func init() { sarama.MaxDecompressedBatchSize = 8 << 20 }

// newSaramaConfig is what all uses of the brokers share. Every network step has a
// deadline; the library's own are half a minute. Connections end with ctx.
func newSaramaConfig(ctx context.Context, cluster ClusterConfig, use string) (*sarama.Config, error) {
	encryption, err := cluster.client()
	if err != nil {
		return nil, err
	}
	c := sarama.NewConfig()
	c.ClientID = cluster.clientID(use)
	c.Net.TLS.Enable, c.Net.TLS.Config = encryption != nil, encryption
	cluster.SASLConfig.apply(c)
	c.Version = sarama.V2_8_0_0
	c.Net.DialTimeout = 3 * time.Second
	c.Net.ReadTimeout = 5 * time.Second
	c.Net.WriteTimeout = 5 * time.Second
	// The library takes no context, only somebody who dials.
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, dialer{ctx, c.Net.DialTimeout, cluster.showsPassword()}
	c.Metadata.Retry.Backoff = 100 * time.Millisecond
	// How soon partitions that were added are used, and by the consumer taken up.
	c.Metadata.RefreshFrequency = time.Minute
	// A topic that springs up by a typing error has one partition, one replica
	// and no consumer.
	c.Metadata.AllowAutoTopicCreation = false
	return c, nil
}

// producerMaxBytes bounds a batch of records. Kafka's brokers take a little more.
const producerMaxBytes = 1_000_000

func producerConfig(cfg Config) (*sarama.Config, error) {
	c, err := newSaramaConfig(context.Background(), cfg.ClusterConfig, "ingest")
	if err != nil {
		return nil, err
	}
	// One refresh of the metadata outlasts the 10 s window in which the producer
	// counts failures of its own, hidden circuit breaker. Otherwise that breaker
	// would refuse records for 10 s after the brokers are back.
	c.Metadata.Retry.Max = 120

	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	c.Producer.Timeout = 3 * time.Second
	c.Producer.Return.Successes = true
	c.Producer.Return.Errors = true
	c.Producer.MaxMessageBytes = producerMaxBytes
	// The hash of the key decides the partition. Another one would move orders to
	// other partitions, where they could overtake themselves.
	c.Producer.Partitioner = sarama.NewHashPartitioner
	c.Producer.Retry.Max = 10
	c.Producer.Retry.BackoffFunc = producerBackoff
	if cfg.Unary {
		c.Producer.Flush.MaxMessages = 1
	}
	return c, nil
}

// producerBackoff waits 100 ms, then twice as long each time up to 1 s: seven
// seconds in all, within which a cluster elects a new leader.
func producerBackoff(retries, _ int) time.Duration {
	return min(100*time.Millisecond<<min(max(retries-1, 0), 4), time.Second)
}

func consumerConfig(cfg Config) (*sarama.Config, error) {
	c, err := newSaramaConfig(context.Background(), cfg.ClusterConfig, "api")
	if err != nil {
		return nil, err
	}
	c.Metadata.Retry.Max = 5
	// The default, newest, would skip what was published before the first join.
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = true
	c.Consumer.Offsets.AutoCommit.Interval = time.Second
	c.Consumer.Group.InstanceId = cfg.InstanceID
	c.Consumer.Group.Session.Timeout = 10 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 3 * time.Second
	// The others have this long to finish their batch and join again, see
	// graceTimeout. Joining answers only then, so reading must wait longer.
	c.Consumer.Group.Rebalance.Timeout = 20 * time.Second
	c.Net.ReadTimeout = 25 * time.Second
	c.Consumer.Group.Rebalance.Retry.Backoff = 100 * time.Millisecond
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	// How long a batch may take before the partition is fetched apart from the
	// others; the default of 100 ms would do so at every slow commit.
	c.Consumer.MaxProcessingTime = 30 * time.Second
	c.Consumer.Return.Errors = true
	c.Consumer.Retry.BackoffFunc = func(retries int) time.Duration {
		return min(100*time.Millisecond<<min(retries, 5), 2*time.Second)
	}
	c.Consumer.MaxWaitTime = 250 * time.Millisecond // also the time that leaving takes
	c.Consumer.Fetch.Default = 1 << 20
	c.Consumer.Fetch.Max = 8 << 20
	c.ChannelBufferSize = maxBatchRecords // a batch is what lies in the channel
	return c, nil
}

// dialer opens connections that end with ctx, whatever waits on them.
type dialer struct {
	ctx     context.Context
	timeout time.Duration
	// near refuses other machines. Only here is it known which they are: brokers
	// that are asked on this machine tell where the others are.
	near bool
}

// Dial is what the library calls.
func (d dialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.timeout, Control: d.check}).DialContext(d.ctx, network, addr)
	if err == nil {
		context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	}
	return conn, err
}

// check is called with each address that a name stands for, before anything is
// sent there.
func (d dialer) check(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || d.near && !transport.IsLoopback(host) {
		return fmt.Errorf("%w: %s", errShowsPassword, address)
	}
	return nil
}
