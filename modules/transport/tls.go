package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
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
