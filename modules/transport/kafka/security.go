package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// TLSConfig says how connections to the brokers are encrypted.
type TLSConfig struct {
	// TLS encrypts them and checks who the brokers are.
	TLS bool
	// CAFile has the certificates, as PEM, of who vouches for the brokers; empty
	// means those that this machine trusts anyway.
	CAFile string
	// CertFile and KeyFile, as PEM, prove who this process is.
	CertFile, KeyFile string
}

// RegisterFlags declares the flags of TLS.
func (c *TLSConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.BoolVar(&c.TLS, "kafka-tls", false, "connect to Kafka by TLS: `KAFKA_TLS`")
	fs.StringVar(&c.CAFile, "kafka-tls-ca-file", "", "trust brokers whose certificate is signed by one in the PEM file `KAFKA_TLS_CA_FILE`, by default those that the system trusts")
	fs.StringVar(&c.CertFile, "kafka-tls-cert-file", "", "present the certificate in the PEM file `KAFKA_TLS_CERT_FILE` to the brokers")
	fs.StringVar(&c.KeyFile, "kafka-tls-key-file", "", "prove it with the key in the PEM file `KAFKA_TLS_KEY_FILE`")
}

// Validate tells how to mend files that cannot be used. It reads them.
func (c TLSConfig) Validate() error {
	switch {
	case !c.TLS && c != (TLSConfig{}):
		return errors.New("kafka-tls-ca-file (KAFKA_TLS_CA_FILE), kafka-tls-cert-file (KAFKA_TLS_CERT_FILE) and kafka-tls-key-file (KAFKA_TLS_KEY_FILE) are for TLS: add --kafka-tls")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("kafka-tls-cert-file (KAFKA_TLS_CERT_FILE) and kafka-tls-key-file (KAFKA_TLS_KEY_FILE) belong together: set both or none")
	}
	_, err := c.client()
	return err
}

// client is the near end of a TLS connection, or nil without TLS. Errors do not
// show what is in the files.
func (c TLSConfig) client() (*tls.Config, error) {
	if !c.TLS {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read kafka-tls-ca-file (KAFKA_TLS_CA_FILE): %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("kafka-tls-ca-file (KAFKA_TLS_CA_FILE) %s has no certificate: write it as PEM, from -----BEGIN CERTIFICATE----- on", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read kafka-tls-cert-file (KAFKA_TLS_CERT_FILE) and kafka-tls-key-file (KAFKA_TLS_KEY_FILE), each as PEM: %w", err)
		}
		config.GetClientCertificate = renewable(c, pair)
	}
	return config, nil
}

// renewable is what a connection presents: the pair that the files have then, for
// certificates are short-lived, or the last good one while they are being written.
func renewable(c TLSConfig, pair tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	var last atomic.Pointer[tls.Certificate]
	last.Store(&pair)
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if renewed, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err == nil {
			last.Store(&renewed)
		}
		return last.Load(), nil
	}
}

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
