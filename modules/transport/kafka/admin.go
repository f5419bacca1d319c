package kafka

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

// WithAdmin calls use with a connection to the brokers, which it closes afterwards or
// when ctx ends.
func WithAdmin(ctx context.Context, cfg ClusterConfig, use func(sarama.ClusterAdmin) error) error {
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

// errRefused means that the brokers do not accept this process, and that waiting does
// not help.
var errRefused = errors.New("refused")

// connectError returns an error that names the setting to correct. It wraps errRefused
// if waiting does not help. A failed login is not wrapped so, because the user may be
// about to be created.
func connectError(cfg ClusterConfig, err error) error {
	failed := fmt.Sprintf("connect to Kafka at %v", cfg.Brokers)
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed) && cfg.Mechanism == oauthBearer:
		return fmt.Errorf("%s: the brokers do not accept the token: renew it in kafka-oauth-token-file (KAFKA_OAUTH_TOKEN_FILE), or correct kafka-oauth-token-url (KAFKA_OAUTH_TOKEN_URL) and kafka-oauth-scope (KAFKA_OAUTH_SCOPE): %w", failed, errLogin)
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed) && cfg.Mechanism == mskIAM:
		return fmt.Errorf("%s: the brokers do not accept the credentials of AWS: allow their role kafka-cluster:Connect, and correct kafka-aws-region (KAFKA_AWS_REGION): %w", failed, errLogin)
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		return fmt.Errorf("%s: user %q or the password is wrong for %s: correct kafka-sasl-username (KAFKA_SASL_USERNAME), KAFKA_SASL_PASSWORD or kafka-sasl-mechanism (KAFKA_SASL_MECHANISM): %w",
			failed, cfg.Username, cfg.Mechanism, errLogin)
	case errors.Is(err, errShowsPassword):
		return fmt.Errorf("%s: %w", failed, err)
	case errors.Is(err, sarama.ErrUnsupportedSASLMechanism), errors.Is(err, sarama.ErrIllegalSASLState):
		return fmt.Errorf("%s: %w: the brokers do not accept logins with kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) %s there: choose another mechanism, or another port of the brokers", failed, errRefused, cfg.Mechanism)
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s: the brokers' certificate is %w: give the authority that signed it with kafka-tls-ca-file (KAFKA_TLS_CA_FILE), and name the brokers as the certificate does: %w", failed, errRefused, err)
	case isAlert(err, aboutCertificate) && cfg.CertFile == "":
		return fmt.Errorf("%s: %w: the brokers ask for a client certificate: give it with kafka-tls-cert-file (KAFKA_TLS_CERT_FILE) and kafka-tls-key-file (KAFKA_TLS_KEY_FILE): %w", failed, errRefused, err)
	case isAlert(err, aboutCertificate):
		return fmt.Errorf("%s: %w: the brokers do not accept the certificate in kafka-tls-cert-file (KAFKA_TLS_CERT_FILE): see whether it has expired, and whether they trust its authority: %w", failed, errRefused, err)
	case isAlert(err, nil):
		return fmt.Errorf("%s: the brokers end the TLS connection: let them use TLS 1.2 or 1.3 with a certificate of their own, and set kafka-tls-cert-file (KAFKA_TLS_CERT_FILE) if they ask for a client certificate: %w", failed, err)
	default:
		return fmt.Errorf("%s: start the brokers, or correct %s: %w", failed, suspects(cfg), err)
	}
}

// errLogin means that the brokers do not know the user with that password.
var errLogin = errors.New("the login failed")

// aboutCertificate holds the alerts of RFC 8446 about a client certificate, or about
// a missing one.
var aboutCertificate = []tls.AlertError{
	42,  // bad_certificate; Java sends it for a missing one in TLS 1.2 too
	43,  // unsupported_certificate
	44,  // certificate_revoked
	45,  // certificate_expired
	46,  // certificate_unknown
	48,  // unknown_ca
	49,  // access_denied
	116, // certificate_required
}

// isAlert reports whether the far side ended a TLS connection with one of the reasons,
// or with any if reasons is nil. The type of a received alert is not exported; it has
// the text of the exported type.
func isAlert(err error, reasons []tls.AlertError) bool {
	var failed *net.OpError
	if !errors.As(err, &failed) || failed.Op != "remote error" {
		return false
	}
	return reasons == nil || slices.ContainsFunc(reasons, func(reason tls.AlertError) bool { return failed.Err.Error() == reason.Error() })
}

// suspects names the settings that can make brokers hang up without an error.
func suspects(cfg ClusterConfig) string {
	all := "kafka-brokers (KAFKA_BROKERS)"
	if cfg.TLS {
		all += ", or kafka-tls (KAFKA_TLS) if the brokers do not use TLS on that port"
	} else {
		all += ", or kafka-tls (KAFKA_TLS) if the brokers use TLS on that port"
	}
	if cfg.Mechanism == "" {
		return all + ", or kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) if the brokers ask for a login"
	}
	return all + ", or kafka-sasl-username (KAFKA_SASL_USERNAME) and the password"
}

func adminConfig(ctx context.Context, cfg ClusterConfig) (*sarama.Config, error) {
	c, err := newSaramaConfig(ctx, cfg, "admin")
	if err != nil {
		return nil, err
	}
	c.Metadata.Retry.Max = 0
	c.Admin.Timeout = 10 * time.Second // within which the brokers create a topic
	c.Net.ReadTimeout = 15 * time.Second
	return c, nil
}

// Cluster describes the brokers. They do not tell clients their release.
type Cluster struct {
	// Brokers is the number of brokers that run.
	Brokers int
	// MetadataVersion is the cluster's level of the feature metadata.version, which
	// each release of Apache Kafka raises, or 0 without that feature.
	MetadataVersion int16
}

// String returns a text such as "3 brokers, metadata.version 27".
func (c Cluster) String() string {
	text := fmt.Sprintf("%d brokers", c.Brokers)
	if c.Brokers == 1 {
		text = "1 broker"
	}
	if c.MetadataVersion > 0 {
		text += fmt.Sprintf(", metadata.version %d", c.MetadataVersion)
	}
	return text
}

// DescribeCluster asks the brokers for the description of their cluster.
func DescribeCluster(ctx context.Context, cfg ClusterConfig) (c Cluster, err error) {
	err = WithAdmin(ctx, cfg, func(admin sarama.ClusterAdmin) error {
		brokers, _, err := admin.DescribeCluster()
		if err != nil {
			return fmt.Errorf("describe the Kafka cluster: %w", err)
		}
		c.Brokers = len(brokers)
		c.MetadataVersion, err = metadataVersion(admin)
		return err
	})
	return c, err
}

// metadataVersion returns the cluster's metadata.version, which any one broker
// reports.
func metadataVersion(admin sarama.ClusterAdmin) (int16, error) {
	broker, err := admin.Controller()
	if err != nil {
		return 0, fmt.Errorf("find a broker of the Kafka cluster: %w", err)
	}
	// Version 3 is the first one with features in its answer.
	answer, err := broker.ApiVersions(&sarama.ApiVersionsRequest{Version: 3, ClientSoftwareName: defaultClientID, ClientSoftwareVersion: "1"})
	if err != nil {
		return 0, fmt.Errorf("ask a Kafka broker for its features: %w", err)
	}
	for _, feature := range answer.FinalizedFeatures {
		if feature.Name == "metadata.version" {
			return feature.MaxVersionLevel, nil
		}
	}
	return 0, nil
}

// Values in place of an offset.
const (
	// NoOffset means that there is no offset, for example of a group that never
	// committed.
	NoOffset = -1
	// UnknownOffset means that the brokers did not report it, for example without a
	// leader.
	UnknownOffset = -2
)

// AppliedOffsets returns the group's committed offset of each partition of a topic:
// NoOffset where it has committed nothing, UnknownOffset where the brokers do not
// report it.
func AppliedOffsets(ctx context.Context, admin sarama.ClusterAdmin, group, topic string, partitions int) ([]int64, error) {
	numbers := make([]int32, partitions)
	for i := range numbers {
		numbers[i] = int32(i)
	}
	question := map[string][]int32{topic: numbers}
	answer, err := admin.ListConsumerGroupOffsets(group, question)
	// A broker that has just become the coordinator of the group reads its log first.
	for errors.Is(err, sarama.ErrOffsetsLoadInProgress) && ctx.Err() == nil {
		sleep(ctx, 100*time.Millisecond)
		answer, err = admin.ListConsumerGroupOffsets(group, question)
	}
	if err != nil && !errors.Is(err, sarama.ErrGroupIDNotFound) {
		return nil, err
	}
	offsets := make([]int64, len(numbers))
	for i := range offsets {
		offsets[i] = UnknownOffset
		if err != nil {
			offsets[i] = NoOffset // the group does not exist yet
			continue
		}
		if block := answer.GetBlock(topic, int32(i)); block != nil && block.Err == sarama.ErrNoError {
			offsets[i] = block.Offset
		}
	}
	return offsets, nil
}

// OffsetsAt returns, for each partition of a topic, the offset of the first record
// from a time on, in milliseconds of Unix time, or of one of the ends
// [sarama.OffsetOldest] and [sarama.OffsetNewest]. It is NoOffset where no record is
// that recent, and UnknownOffset where the partition has no leader.
func OffsetsAt(admin sarama.ClusterAdmin, topic string, partitions int, at int64) ([]int64, error) {
	question := make(map[int32]int64)
	for i := range partitions {
		question[int32(i)] = at
	}
	answer, err := admin.ListOffsets(map[string]map[int32]int64{topic: question}, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the brokers for the offsets of topic %q: %w", topic, err)
	}
	offsets := make([]int64, partitions)
	for i := range offsets {
		offsets[i] = UnknownOffset
		if result := answer[topic][int32(i)]; result != nil && (result.Err == nil || errors.Is(result.Err, sarama.ErrNoError)) {
			offsets[i] = result.Offset
		}
	}
	return offsets, nil
}
