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

// WithAdmin connects to the brokers for as long as use takes, to ask them about
// topics or to have some created. Whatever waits on them ends with ctx.
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

// Cluster is what a client can learn about the brokers: they do not tell the
// release that they are of.
type Cluster struct {
	// Brokers is how many of them run.
	Brokers int
	// MetadataVersion is the level of the feature metadata.version that the cluster
	// has agreed on, which each release of Apache Kafka raises; 0 if it has none.
	MetadataVersion int16
}

// String is the cluster for people, such as "3 brokers, metadata.version 27".
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

// DescribeCluster asks the brokers about themselves.
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

// metadataVersion asks one of the brokers, for it is the cluster's.
func metadataVersion(admin sarama.ClusterAdmin) (int16, error) {
	broker, err := admin.Controller()
	if err != nil {
		return 0, fmt.Errorf("find a broker of the Kafka cluster: %w", err)
	}
	// Version 3 is the first whose answer has features.
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

// What stands in the place of an offset.
const (
	// NoOffset says that there is none, such as for a group that never committed.
	NoOffset = -1
	// UnknownOffset says that the brokers do not tell, such as without a leader.
	UnknownOffset = -2
)

// AppliedOffsets returns what the group has committed of each partition of a topic:
// NoOffset where it has committed nothing, UnknownOffset where the brokers do not
// say.
func AppliedOffsets(ctx context.Context, admin sarama.ClusterAdmin, group, topic string, partitions int) ([]int64, error) {
	numbers := make([]int32, partitions)
	for i := range numbers {
		numbers[i] = int32(i)
	}
	question := map[string][]int32{topic: numbers}
	answer, err := admin.ListConsumerGroupOffsets(group, question)
	// A broker that has just become the group's coordinator reads its log first.
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
// that young, and UnknownOffset where the partition has no leader.
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
