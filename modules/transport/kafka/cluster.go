package kafka

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net"
	"strings"

	"github.com/payrelay/payrelay/modules/transport"
)

// ClusterConfig holds how to reach the brokers.
type ClusterConfig struct {
	// Brokers are the bootstrap servers, each as host:port.
	Brokers []string
	// ClientID is the first part of the client ID that the brokers have in their logs
	// and quotas; the second is the use: ingest, api or admin.
	ClientID string
	TLSConfig
	SASLConfig
}

// RegisterFlags declares the flags of a connection to Kafka.
func (c *ClusterConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.Var((*commaList)(&c.Brokers), "kafka-brokers", "Kafka brokers to connect to first, each as host:port, separated by commas: `KAFKA_BROKERS`")
	fs.StringVar(&c.ClientID, "kafka-client-id", defaultClientID, "first part of the client ID on the Kafka brokers, before -ingest, -api or -admin: `KAFKA_CLIENT_ID`")
	c.TLSConfig.RegisterFlags(fs)
	c.SASLConfig.RegisterFlags(fs)
}

const defaultClientID = "payrelay"

// clientID returns the client ID for one use of the brokers.
func (c ClusterConfig) clientID(use string) string {
	return cmp.Or(c.ClientID, defaultClientID) + "-" + use
}

// showsPassword reports whether a listener on the network can read the password.
func (c ClusterConfig) showsPassword() bool { return c.Mechanism == plain && !c.TLS }

// errShowsPassword is returned before the password would be sent in plain text to
// another machine, be it configured or named by a broker.
var errShowsPassword = fmt.Errorf("%w: kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) PLAIN sends the password in plain text, and a broker is on another machine: add --kafka-tls or use %s", errRefused, scramSHA512)

// Validate returns an error that says how to correct the configuration. It reads the
// files of TLS.
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
