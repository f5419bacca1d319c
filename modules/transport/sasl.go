package transport

import (
	"errors"
	"flag"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// SASLConfig says who this process is to the brokers.
type SASLConfig struct {
	// Mechanism is how it proves that, PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512;
	// empty means that the brokers do not ask.
	Mechanism string
	Username  string
	// Password has no flag, because argv is public.
	Password string
}

const (
	plain       = sarama.SASLTypePlaintext
	scramSHA256 = sarama.SASLTypeSCRAMSHA256
	scramSHA512 = sarama.SASLTypeSCRAMSHA512
)

// RegisterFlags declares the flags of SASL.
func (c *SASLConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Mechanism, "kafka-sasl-mechanism", "", "log in to Kafka by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512: `KAFKA_SASL_MECHANISM`")
	fs.StringVar(&c.Username, "kafka-sasl-username", "", "log in to Kafka as the user `KAFKA_SASL_USERNAME`")
}

// Validate tells how to mend a login that cannot work.
func (c SASLConfig) Validate() error {
	switch c.Mechanism {
	case "":
		if c != (SASLConfig{}) {
			return errors.New("there is a user or a password for Kafka, and kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) is empty: choose PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
		return nil
	case plain, scramSHA256, scramSHA512:
	default:
		return fmt.Errorf("kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) is %q: choose PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.Mechanism)
	}
	switch {
	case c.Username == "":
		return errors.New("kafka-sasl-username (KAFKA_SASL_USERNAME) is empty: name the user to log in to Kafka as")
	case c.Password == "":
		return errors.New("there is no password for Kafka: set KAFKA_SASL_PASSWORD or --kafka-sasl-password-file")
	default:
		return nil
	}
}

// apply tells the library how to log in.
func (c SASLConfig) apply(config *sarama.Config) {
	if c.Mechanism == "" {
		return
	}
	sasl := &config.Net.SASL
	sasl.Enable, sasl.Mechanism, sasl.User, sasl.Password = true, sarama.SASLMechanism(c.Mechanism), c.Username, c.Password
	switch c.Mechanism {
	case scramSHA256:
		sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA256} }
	case scramSHA512:
		sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA512} }
	}
}

// scramClient is one exchange, in which neither side learns the password.
type scramClient struct {
	hash scram.HashGeneratorFcn
	*scram.ClientConversation
}

// scramIterations are the fewest that Kafka lets a user have: a broker that asks
// for fewer is none, and wants to guess the password.
const scramIterations = 4096

// Begin is called once, before the first Step. Like Kafka it takes the bytes of
// user and password as they are, without the normalization of RFC 5802.
func (c *scramClient) Begin(user, password, authorization string) error {
	client, err := c.hash.NewClientUnprepped(user, password, authorization)
	if err != nil {
		return err
	}
	c.ClientConversation = client.WithMinIterations(scramIterations).NewConversation()
	return nil
}
