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

// A compressed batch does not declare its decompressed size. The producer here does
// not compress and sends at most 1 MB; the limit leaves room for other producers. The
// fetch of a larger batch fails: the partition waits, and the log says why at each
// attempt, until an operator deletes the records up to its end or moves the group's
// offset. Nothing is skipped automatically, because there may be payments in it.
//
// The library has this limit in a global variable, so it is set before any goroutine
// can read it.
func init() { sarama.MaxDecompressedBatchSize = 8 << 20 }

// newSaramaConfig returns the settings that all connections to the brokers share.
// Each network step has a deadline shorter than the library's 30 s. Connections are
// closed when ctx ends.
func newSaramaConfig(ctx context.Context, cluster ClusterConfig, use string) (*sarama.Config, error) {
	encryption, err := cluster.client()
	if err != nil {
		return nil, err
	}
	c := sarama.NewConfig()
	c.ClientID = cluster.clientID(use)
	c.Net.TLS.Enable, c.Net.TLS.Config = encryption != nil, encryption
	cluster.SASLConfig.apply(c)
	if c.Version, err = cluster.version(); err != nil {
		return nil, err
	}
	c.Net.DialTimeout = 3 * time.Second
	c.Net.ReadTimeout = 5 * time.Second
	c.Net.WriteTimeout = 5 * time.Second
	// The library takes a dialer, but no context.
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, dialer{ctx, c.Net.DialTimeout, cluster.showsPassword()}
	c.Metadata.Retry.Backoff = 100 * time.Millisecond
	// Producers and consumers use new partitions after at most this time.
	c.Metadata.RefreshFrequency = time.Minute
	// A topic created because of a typing error would have one partition,
	// one replica and no consumer.
	c.Metadata.AllowAutoTopicCreation = false
	return c, nil
}

// producerMaxBytes is the largest batch of records in bytes. The default limit of
// Kafka's brokers is a little larger.
const producerMaxBytes = 1_000_000

func producerConfig(cfg Config) (*sarama.Config, error) {
	c, err := newSaramaConfig(context.Background(), cfg.ClusterConfig, "ingest")
	if err != nil {
		return nil, err
	}
	// One refresh of the metadata takes longer than the 10 s in which the circuit
	// breaker inside the library counts failures. Otherwise that breaker would refuse
	// records for 10 s after the brokers are back.
	c.Metadata.Retry.Max = 120

	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	c.Producer.Timeout = 3 * time.Second
	c.Producer.Return.Successes = true
	c.Producer.Return.Errors = true
	c.Producer.MaxMessageBytes = producerMaxBytes
	// Another hash of the key would move orders to other partitions, where their
	// newer updates could overtake older ones.
	c.Producer.Partitioner = sarama.NewHashPartitioner
	c.Producer.Retry.Max = 10
	c.Producer.Retry.BackoffFunc = producerBackoff
	if cfg.Unary {
		c.Producer.Flush.MaxMessages = 1
	}
	return c, nil
}

// producerBackoff returns 100 ms, doubled at each retry up to 1 s. All retries take
// seven seconds, within which a cluster elects a new leader.
func producerBackoff(retries, _ int) time.Duration {
	return min(100*time.Millisecond<<min(max(retries-1, 0), 4), time.Second)
}

func consumerConfig(cfg Config) (*sarama.Config, error) {
	c, err := newSaramaConfig(context.Background(), cfg.ClusterConfig, "api")
	if err != nil {
		return nil, err
	}
	c.Metadata.Retry.Max = 5
	// The default, OffsetNewest, would skip what was published before the first join.
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	// A record of an aborted transaction was never published. payrelay does not use
	// transactions, but another producer of the topic may.
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Consumer.Offsets.AutoCommit.Enable = true
	c.Consumer.Offsets.AutoCommit.Interval = time.Second
	c.Consumer.Group.InstanceId = cfg.InstanceID
	c.Consumer.Group.Session.Timeout = 10 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 3 * time.Second
	// The other members have this time to finish their batch, see graceTimeout, and
	// to join again. A join is answered after that, so reading must wait longer.
	c.Consumer.Group.Rebalance.Timeout = 20 * time.Second
	c.Net.ReadTimeout = 25 * time.Second
	c.Consumer.Group.Rebalance.Retry.Backoff = 100 * time.Millisecond
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	// A batch may take this long before its partition is fetched separately from the
	// others. The default of 100 ms would do that at each slow commit.
	c.Consumer.MaxProcessingTime = 30 * time.Second
	c.Consumer.Return.Errors = true
	c.Consumer.Retry.BackoffFunc = func(retries int) time.Duration {
		return min(100*time.Millisecond<<min(retries, 5), 2*time.Second)
	}
	c.Consumer.MaxWaitTime = 250 * time.Millisecond // leaving the group takes this long
	c.Consumer.Fetch.Default = 1 << 20
	c.Consumer.Fetch.Max = 8 << 20
	c.ChannelBufferSize = maxBatchRecords // a batch is what is in the channel
	return c, nil
}

// dialer opens connections that are closed when ctx ends.
type dialer struct {
	ctx     context.Context
	timeout time.Duration
	// near refuses connections to other machines. Only the dialer sees every address,
	// because a broker on this machine can name brokers elsewhere.
	near bool
}

// Dial opens a connection for the library.
func (d dialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.timeout, Control: d.check}).DialContext(d.ctx, network, addr)
	if err == nil {
		context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	}
	return conn, err
}

// check is called with each address that a name resolves to, before anything is sent
// there.
func (d dialer) check(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || d.near && !transport.IsLoopback(host) {
		return fmt.Errorf("%w: %s", errShowsPassword, address)
	}
	return nil
}
