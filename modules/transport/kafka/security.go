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

// TLSConfig holds the TLS settings of connections to the brokers.
type TLSConfig struct {
	// TLS encrypts the connections and verifies the brokers' certificates.
	TLS bool
	// CAFile is a PEM file of the certificate authorities that sign the brokers'
	// certificates. If it is empty, the system's authorities are used.
	CAFile string
	// CertFile and KeyFile are PEM files of the client certificate and its key.
	CertFile, KeyFile string
}

// RegisterFlags declares the flags of TLS.
func (c *TLSConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.BoolVar(&c.TLS, "kafka-tls", false, "whether to connect to Kafka with TLS: `KAFKA_TLS`")
	fs.StringVar(&c.CAFile, "kafka-tls-ca-file", "", "PEM file of the authorities that sign the Kafka brokers' certificates, by default those of the system: `KAFKA_TLS_CA_FILE`")
	fs.StringVar(&c.CertFile, "kafka-tls-cert-file", "", "PEM file of the client certificate for Kafka: `KAFKA_TLS_CERT_FILE`")
	fs.StringVar(&c.KeyFile, "kafka-tls-key-file", "", "PEM file of the key of the client certificate for Kafka: `KAFKA_TLS_KEY_FILE`")
}

// Validate checks the settings, and reads the files. Its error explains how to
// correct them.
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

// client returns the configuration of the client, or nil without TLS. Errors do not
// show the content of the files.
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

// renewable returns a callback that reads the pair from the files for each
// connection, because certificates are renewed. While the files are being written, it
// returns the last valid pair.
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

// SASLConfig holds the login of this process to the brokers.
type SASLConfig struct {
	// Mechanism is one of Mechanisms, or empty for no login.
	Mechanism string
	Username  string
	// Password has no flag, because a command line is public.
	Password string
	TokenConfig
}

const (
	plain       = sarama.SASLTypePlaintext
	scramSHA256 = sarama.SASLTypeSCRAMSHA256
	scramSHA512 = sarama.SASLTypeSCRAMSHA512
	oauthBearer = sarama.SASLTypeOAuth
	// mskIAM is OAUTHBEARER with a token that is signed with AWS credentials.
	mskIAM = "AWS_MSK_IAM"
)

// Mechanisms are the mechanisms of a login.
var Mechanisms = []string{plain, scramSHA256, scramSHA512, oauthBearer, mskIAM}

const chooseMechanism = "choose PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM"

// RegisterFlags declares the flags of SASL.
func (c *SASLConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Mechanism, "kafka-sasl-mechanism", "", "mechanism of the login to Kafka, PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM: `KAFKA_SASL_MECHANISM`")
	fs.StringVar(&c.Username, "kafka-sasl-username", "", "user name of the login to Kafka: `KAFKA_SASL_USERNAME`")
	c.TokenConfig.RegisterFlags(fs)
}

// Validate checks the login. Its error explains how to correct it.
func (c SASLConfig) Validate() error {
	switch c.Mechanism {
	case "":
		if c != (SASLConfig{}) {
			return errors.New("there is a user, a password or a token for Kafka, but kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) is empty: " + chooseMechanism)
		}
		return nil
	case oauthBearer:
		return c.validateToken()
	case mskIAM:
		return c.validateMSK()
	case plain, scramSHA256, scramSHA512:
	default:
		return fmt.Errorf("kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) is %q: %s", c.Mechanism, chooseMechanism)
	}
	switch {
	case c.TokenConfig != TokenConfig{}:
		return fmt.Errorf("the settings whose names begin with kafka-oauth and kafka-aws are not for kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) %s: leave them out, or choose OAUTHBEARER or AWS_MSK_IAM", c.Mechanism)
	case c.Username == "":
		return errors.New("kafka-sasl-username (KAFKA_SASL_USERNAME) is empty: name the user to log in to Kafka as")
	case c.Password == "":
		return errors.New("there is no password for Kafka: set KAFKA_SASL_PASSWORD or --kafka-sasl-password-file")
	default:
		return nil
	}
}

// apply sets the login in the configuration of the library.
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
	case oauthBearer, mskIAM:
		sasl.Mechanism, sasl.TokenProvider = oauthBearer, c.tokens()
	}
}

// scramClient is one SCRAM exchange.
type scramClient struct {
	hash scram.HashGeneratorFcn
	*scram.ClientConversation
}

// scramIterations is the smallest number that Kafka allows. A server that asks for
// fewer may be an impostor that wants to guess the password.
const scramIterations = 4096

// Begin starts the exchange, before the first Step. Like Kafka it does not normalize
// user and password as RFC 5802 would.
func (c *scramClient) Begin(user, password, authorization string) error {
	client, err := c.hash.NewClientUnprepped(user, password, authorization)
	if err != nil {
		return err
	}
	c.ClientConversation = client.WithMinIterations(scramIterations).NewConversation()
	return nil
}
