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

// ClusterConfig says how to reach the brokers.
type ClusterConfig struct {
	// Brokers are the bootstrap servers, each host:port.
	Brokers []string
	// ClientID begins the name under which this process is known to the brokers,
	// in their logs and quotas; what it does there is added.
	ClientID string
	TLSConfig
	SASLConfig
}

// RegisterFlags declares the flags of everything that connects to Kafka.
func (c *ClusterConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.Var((*commaList)(&c.Brokers), "kafka-brokers", "connect to the Kafka brokers `KAFKA_BROKERS`, separated by commas")
	fs.StringVar(&c.ClientID, "kafka-client-id", defaultClientID, "be known to the brokers as `KAFKA_CLIENT_ID`-ingest, -api and -admin")
	c.TLSConfig.RegisterFlags(fs)
	c.SASLConfig.RegisterFlags(fs)
}

const defaultClientID = "payrelay"

// clientID is the name for one use of the brokers.
func (c ClusterConfig) clientID(use string) string {
	return cmp.Or(c.ClientID, defaultClientID) + "-" + use
}

// showsPassword says that who listens on the way to the brokers gets to know it.
func (c ClusterConfig) showsPassword() bool { return c.Mechanism == plain && !c.TLS }

// errShowsPassword is about a host that is named, resolved, or told of by a broker.
var errShowsPassword = fmt.Errorf("%w: kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) PLAIN sends the password as it is, so add --kafka-tls or use %s: there is a broker on another machine", errRefused, scramSHA512)

// Validate tells how to mend what cannot be connected to.
func (c ClusterConfig) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("kafka-brokers (KAFKA_BROKERS) is empty: name at least one broker as host:port")
	}
	for i, broker := range c.Brokers {
		host, _, err := net.SplitHostPort(broker)
		if err != nil || strings.ContainsAny(broker, "@/") {
			// The value is not repeated: it may hold a password.
			return fmt.Errorf("kafka-brokers (KAFKA_BROKERS) has as its number %d what is no broker: write each as host:port, without a scheme or a user", i+1)
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

// commaList is a flag that replaces the whole list whenever it is set.
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
