// Package kafka is the mode kafka: [Producer] publishes updates to topics, and
// [Consumer], a member of the consumer group, applies them. It also has what both
// need to reach a cluster, and [AwaitTopics], which refuses topics that would lose
// acknowledged records. The commands for operators are in package topics below.
package kafka

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/modules/transport"
)

// TopicConfig holds the names of the topics and of the consumer group.
type TopicConfig struct {
	// OrdersTopic carries updates of orders, and DisputesTopic updates of disputes.
	OrdersTopic, DisputesTopic string
	// Group is the consumer group of all api processes.
	Group string
}

// RegisterFlags declares the flags.
func (c *TopicConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.OrdersTopic, "kafka-orders-topic", "webhooks.orders", "Kafka topic for updates of orders: `KAFKA_ORDERS_TOPIC`")
	fs.StringVar(&c.DisputesTopic, "kafka-disputes-topic", "webhooks.disputes", "Kafka topic for updates of disputes: `KAFKA_DISPUTES_TOPIC`")
	fs.StringVar(&c.Group, "kafka-group", "payrelay", "Kafka consumer group, the same for all api processes: `KAFKA_CONSUMER_GROUP`")
}

// Names returns the names of both topics.
func (c TopicConfig) Names() []string { return []string{c.OrdersTopic, c.DisputesTopic} }

// Validate checks the names. Its error explains how to correct them.
func (c TopicConfig) Validate() error {
	switch {
	case c.OrdersTopic == "" || c.DisputesTopic == "":
		return errors.New("kafka-orders-topic (KAFKA_ORDERS_TOPIC) and kafka-disputes-topic (KAFKA_DISPUTES_TOPIC) must both have a name")
	case c.OrdersTopic == c.DisputesTopic:
		return fmt.Errorf("kafka-orders-topic (KAFKA_ORDERS_TOPIC) and kafka-disputes-topic (KAFKA_DISPUTES_TOPIC) are both %q: give each its own topic", c.OrdersTopic)
	case c.Group == "":
		return errors.New("kafka-group (KAFKA_CONSUMER_GROUP) is empty: name the group that all api processes share")
	default:
		return nil
	}
}

// CopiesConfig holds the durability that acknowledged records must have.
type CopiesConfig struct {
	// MinCopies is the number of copies that an acknowledged record must have.
	MinCopies int
}

// RegisterFlags declares the flag. A MinCopies that is set already is its default.
func (c *CopiesConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.IntVar(&c.MinCopies, "kafka-min-copies", max(c.MinCopies, 1), "least number of brokers that must have a record when it is acknowledged: `KAFKA_MIN_COPIES`")
}

// Validate returns an error for a negative number.
func (c CopiesConfig) Validate() error {
	if c.MinCopies < 0 {
		return fmt.Errorf("kafka-min-copies (KAFKA_MIN_COPIES) is %d: it must be at least 1, or 0 to allow unclean elections", c.MinCopies)
	}
	return nil
}

// Config is the configuration of a producer and of a consumer.
type Config struct {
	TopicConfig
	ClusterConfig
	CopiesConfig
	// InstanceID makes a consumer a static member of its group, which gets its
	// partitions back at once after a restart. It must differ between api processes
	// and stay the same after a restart. If it is empty, the member is not static.
	InstanceID string
	// Unary makes the producer send one record in each request, and the consumer
	// apply one record in each call. It is the opposite of transport.Config.Batch.
	Unary bool
	// Fatal reports whether an error of the consumer's Applier needs an operator. A
	// batch that fails with such errors only, for FatalAfter, ends the consumer with
	// the last of them. A nil Fatal means that no error ends the consumer.
	Fatal      func(error) bool
	FatalAfter time.Duration
}

// RegisterFlags declares the flags of the producer and the consumer.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	c.TopicConfig.RegisterFlags(fs)
	c.ClusterConfig.RegisterFlags(fs)
	c.CopiesConfig.RegisterFlags(fs)
	fs.StringVar(&c.InstanceID, "kafka-instance-id", "", "name of this process as a static member of the consumer group, different in each process: `KAFKA_INSTANCE_ID`")
}

// Validate returns the first error of the parts.
func (c Config) Validate() error {
	for _, part := range []interface{ Validate() error }{c.ClusterConfig, c.CopiesConfig, c.TopicConfig} {
		if err := part.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// ClusterConfig holds the settings of connections to the brokers.
type ClusterConfig struct {
	// Brokers are the bootstrap servers, each as host:port.
	Brokers []string
	// ClientID is the first part of the client ID that the brokers use in their logs
	// and quotas; the second is the use: ingest, api or admin.
	ClientID string
	// Version is the release of Kafka whose protocol is used, such as 2.8.0. If it is
	// empty, it is the default.
	Version string
	TLSConfig
	SASLConfig
}

// RegisterFlags declares the flags of a connection to Kafka.
func (c *ClusterConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.Var((*commaList)(&c.Brokers), "kafka-brokers", "Kafka brokers to connect to first, each as host:port, separated by commas: `KAFKA_BROKERS`")
	fs.StringVar(&c.ClientID, "kafka-client-id", defaultClientID, "first part of the client ID on the Kafka brokers, before -ingest, -api or -admin: `KAFKA_CLIENT_ID`")
	fs.StringVar(&c.Version, "kafka-version", defaultVersion, "release of Kafka whose protocol is used, no newer than the brokers: `KAFKA_VERSION`")
	c.TLSConfig.RegisterFlags(fs)
	c.SASLConfig.RegisterFlags(fs)
}

const defaultClientID = "payrelay"

// defaultVersion is old enough for all brokers in use, and has all that is needed.
const defaultVersion = "2.8.0"

// oldestVersion is the first release with static members and idempotent producers as
// they are used here.
var oldestVersion = sarama.V2_4_0_0

// version returns the release whose protocol is used.
func (c ClusterConfig) version() (sarama.KafkaVersion, error) {
	version, err := sarama.ParseKafkaVersion(cmp.Or(c.Version, defaultVersion))
	if err != nil || !version.IsAtLeast(oldestVersion) || version.IsAtLeast(sarama.MaxVersion) && version != sarama.MaxVersion {
		return version, fmt.Errorf("kafka-version (KAFKA_VERSION) is %q: write a release from %s to %s, such as %s", c.Version, oldestVersion, sarama.MaxVersion, defaultVersion)
	}
	return version, nil
}

// clientID returns the client ID for one use of the brokers.
func (c ClusterConfig) clientID(use string) string {
	return cmp.Or(c.ClientID, defaultClientID) + "-" + use
}

// showsPassword reports whether a listener on the network can read the password or the
// token.
func (c ClusterConfig) showsPassword() bool {
	return !c.TLS && (c.Mechanism == plain || c.Mechanism == oauthBearer || c.Mechanism == mskIAM)
}

// errShowsPassword is returned before the password or token would be sent in plain text to
// another machine, whether that was configured or named by a broker.
var errShowsPassword = fmt.Errorf("%w: kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) sends the password or the token in plain text, and a broker is on another machine: add --kafka-tls or use %s", errRefused, scramSHA512)

// Validate checks the configuration, and reads the files of TLS. Its error explains
// how to correct it.
func (c ClusterConfig) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("kafka-brokers (KAFKA_BROKERS) is empty: name at least one broker as host:port")
	}
	for i, broker := range c.Brokers {
		host, _, err := net.SplitHostPort(broker)
		if err != nil || strings.ContainsAny(broker, "@/") {
			// The error does not quote the entry: it may hold a password.
			return fmt.Errorf("kafka-brokers (KAFKA_BROKERS): entry %d is not host:port: write it without a scheme and without a user", i+1)
		}
		if c.showsPassword() && !transport.IsLoopback(host) {
			return fmt.Errorf("%w: %s", errShowsPassword, host)
		}
	}
	if _, err := c.version(); err != nil {
		return err
	}
	if err := c.TLSConfig.Validate(); err != nil {
		return err
	}
	return c.SASLConfig.Validate()
}

// commaList is a flag whose value replaces the whole list.
type commaList []string

func (l *commaList) String() string { return strings.Join(*l, ",") }

func (l *commaList) Set(text string) error {
	*l = nil
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*l = append(*l, item)
		}
	}
	return nil
}
