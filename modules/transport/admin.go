package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// withAdmin connects to the brokers for as long as use takes, to ask them about
// topics or to have some created. Whatever waits on them ends with ctx.
func withAdmin(ctx context.Context, cfg ClusterConfig, use func(sarama.ClusterAdmin) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	config, err := adminConfig(ctx, cfg)
	if err != nil {
		return err
	}
	admin, err := sarama.NewClusterAdmin(cfg.Brokers, config)
	if err != nil {
		return connectError(cfg, err)
	}
	defer admin.Close()
	return use(admin)
}

// errRefused says that the brokers will not have this process: waiting is of no
// use.
var errRefused = errors.New("refused")

// connectError says which setting to mend. Only what nobody but an operator can
// change is errRefused: a user may be about to be created.
func connectError(cfg ClusterConfig, err error) error {
	failed := fmt.Sprintf("connect to Kafka at %v", cfg.Brokers)
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		return fmt.Errorf("%s: user %q or the password is wrong for %s: correct kafka-sasl-username (KAFKA_SASL_USERNAME), KAFKA_SASL_PASSWORD or kafka-sasl-mechanism (KAFKA_SASL_MECHANISM): %w",
			failed, cfg.Username, cfg.Mechanism, errLogin)
	case errors.Is(err, errShowsPassword):
		return fmt.Errorf("%s: %w", failed, err)
	case errors.Is(err, sarama.ErrUnsupportedSASLMechanism), errors.Is(err, sarama.ErrIllegalSASLState):
		return fmt.Errorf("%s: %w: nobody logs in by kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) %s there: choose another one, or another port of the brokers", failed, errRefused, cfg.Mechanism)
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s: the brokers' certificate is %w: name who signed it with kafka-tls-ca-file (KAFKA_TLS_CA_FILE), and the brokers as the certificate does: %w", failed, errRefused, err)
	case isAlert(err, aboutCertificate) && cfg.CertFile == "":
		return fmt.Errorf("%s: %w: give the brokers the certificate that they ask for with kafka-tls-cert-file (KAFKA_TLS_CERT_FILE) and kafka-tls-key-file (KAFKA_TLS_KEY_FILE): %w", failed, errRefused, err)
	case isAlert(err, aboutCertificate):
		return fmt.Errorf("%s: %w: the brokers do not accept the certificate in kafka-tls-cert-file (KAFKA_TLS_CERT_FILE): see whether it has expired, and whether they trust who signed it: %w", failed, errRefused, err)
	case isAlert(err, nil):
		return fmt.Errorf("%s: they end the TLS connection: let them speak TLS 1.2 or 1.3 with a certificate of their own, and give them ours with kafka-tls-cert-file (KAFKA_TLS_CERT_FILE) if they ask for one: %w", failed, err)
	default:
		return fmt.Errorf("%s: start the brokers, or correct %s: %w", failed, suspects(cfg), err)
	}
}

// errLogin says that the brokers do not know a user by that password, yet.
var errLogin = errors.New("the login failed")

// aboutCertificate are the alerts, of RFC 8446, with which the far side judges our
// certificate, or that there is none.
var aboutCertificate = []tls.AlertError{
	42,  // bad_certificate, of Java also for none in TLS 1.2
	43,  // unsupported_certificate
	44,  // certificate_revoked
	45,  // certificate_expired
	46,  // certificate_unknown
	48,  // unknown_ca
	49,  // access_denied
	116, // certificate_required
}

// isAlert says that the far side ended a TLS connection with one of those reasons,
// or any if there are none. The library's own type of an alert is not exported;
// its text is that of the exported one.
func isAlert(err error, reasons []tls.AlertError) bool {
	var failed *net.OpError
	if !errors.As(err, &failed) || failed.Op != "remote error" {
		return false
	}
	return reasons == nil || slices.ContainsFunc(reasons, func(reason tls.AlertError) bool { return failed.Err.Error() == reason.Error() })
}

// suspects are the settings that can make brokers hang up without a word.
func suspects(cfg ClusterConfig) string {
	all := "kafka-brokers (KAFKA_BROKERS)"
	if cfg.TLS {
		all += ", or kafka-tls (KAFKA_TLS) if they do not speak TLS on that port"
	} else {
		all += ", or kafka-tls (KAFKA_TLS) if they speak TLS on that port"
	}
	if cfg.Mechanism == "" {
		return all + ", or kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) if they want a login"
	}
	return all + ", or kafka-sasl-username (KAFKA_SASL_USERNAME) and the password"
}

func adminConfig(ctx context.Context, cfg ClusterConfig) (*sarama.Config, error) {
	c, err := newSaramaConfig(ctx, cfg, "admin")
	if err != nil {
		return nil, err
	}
	c.Metadata.Retry.Max = 0
	c.Admin.Timeout = 10 * time.Second // the brokers' own, to create a topic
	c.Net.ReadTimeout = 15 * time.Second
	return c, nil
}
