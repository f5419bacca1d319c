package transport

import (
	"context"
	"fmt"

	"github.com/IBM/sarama"
)

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
	err = withAdmin(ctx, cfg, func(admin sarama.ClusterAdmin) error {
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
